//! What browsers are told of who may ask here. An upstream that lets everybody come is not heard.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{Error, client::IntoClientRequest};

use crate::support::{Gateway, send};

const APP: &str = "https://app.example";
const EVIL: &str = "https://evil.example";

type Methods = Arc<Mutex<Vec<Method>>>;

/// A server that says yes to every page, as vLLM does if nobody tells it otherwise.
async fn upstream() -> (String, Methods) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Methods::default();
    let methods = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let methods = methods.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                methods.lock().unwrap().push(request.method().clone());
                let mut response: Response<Full<Bytes>> =
                    Response::new(Full::from(r#"{"object":"response","status":"completed","output":[]}"#));
                for (name, value) in [
                    ("content-type", "application/json"),
                    ("access-control-allow-origin", "*"),
                    ("access-control-allow-credentials", "true"),
                    ("access-control-allow-headers", "*"),
                    ("access-control-allow-private-network", "true"),
                    ("access-control-expose-headers", "x-secret"),
                    ("x-upstream", "1"),
                ] {
                    response.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
                }
                async move { Ok::<_, std::convert::Infallible>(response) }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (format!("http://{address}"), seen)
}

async fn start(args: &[&str], env: &[(&str, &str)]) -> (Gateway, Methods) {
    let (url, methods) = upstream().await;
    let args = [&["--upstream", &url, "--store", "none"], args].concat();
    (Gateway::start_with(&args, env), methods)
}

async fn ask(gateway: &Gateway, method: &str, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap) {
    let mut request = Request::builder().method(method).uri(format!("{}{path}", gateway.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = if method == "POST" { Bytes::from(r#"{"model":"m","input":"hi"}"#) } else { Bytes::new() };
    let response = send(request.header("content-type", "application/json").body(Full::from(body)).unwrap()).await;
    (response.status().as_u16(), response.headers().clone())
}

fn allowed_origin(headers: &HeaderMap) -> Option<&str> {
    headers.get("access-control-allow-origin").map(|origin| origin.to_str().unwrap())
}

/// The status of a handshake by a page of this origin.
async fn handshake(gateway: &Gateway, origin: Option<&str>) -> u16 {
    let address = gateway.url.strip_prefix("http://").unwrap();
    let mut request = format!("ws://{address}/v1/responses").into_client_request().unwrap();
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    match tokio_tungstenite::client_async(request, TcpStream::connect(address).await.unwrap()).await {
        Ok((_, response)) => response.status().as_u16(),
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn the_same_origins_may_come_over_http_and_over_a_socket() {
    let (gateway, _) = start(&["--cors", APP], &[]).await;
    assert_eq!(handshake(&gateway, None).await, 101, "programs say no origin");
    assert_eq!(handshake(&gateway, Some(APP)).await, 101);
    assert_eq!(handshake(&gateway, Some(&gateway.url)).await, 101, "its own");
    for origin in [EVIL, "null", "https://app.example.evil.example", "http://app.example"] {
        assert_eq!(handshake(&gateway, Some(origin)).await, 403, "{origin}");
    }
    let (_, headers) = ask(&gateway, "POST", "/v1/responses", &[("origin", APP)]).await;
    assert_eq!(allowed_origin(&headers), Some(APP));
    let (_, headers) = ask(&gateway, "POST", "/v1/responses", &[("origin", EVIL)]).await;
    assert_eq!(allowed_origin(&headers), None, "{headers:?}");

    let (gateway, _) = start(&["--cors", APP, "--cors", "*"], &[]).await;
    assert_eq!(handshake(&gateway, Some(EVIL)).await, 101);
    let (_, headers) = ask(&gateway, "POST", "/v1/responses", &[("origin", EVIL)]).await;
    assert_eq!(allowed_origin(&headers), Some("*"));

    let (gateway, _) = start(&[], &[]).await;
    assert_eq!(handshake(&gateway, Some(APP)).await, 403);
}

const PREFLIGHT: [(&str, &str); 3] = [
    ("origin", APP),
    ("access-control-request-method", "POST"),
    ("access-control-request-headers", "authorization,content-type"),
];

#[tokio::test]
async fn what_the_upstream_says_of_origins_does_not_pass() {
    for args in [&[][..], &["--cors", APP]] {
        let (gateway, methods) = start(args, &[]).await;
        for (method, path) in [("POST", "/v1/responses"), ("POST", "/v1/chat/completions")] {
            let (status, headers) = ask(&gateway, method, path, &[("origin", &gateway.url)]).await;
            assert_eq!((status, &headers["x-upstream"]), (200, &"1".parse().unwrap()), "{path} is passed on");
            let own = ["access-control-expose-headers"];
            let told =
                |name: &&HeaderName| name.as_str().starts_with("access-control-") && !own.contains(&name.as_str());
            assert_eq!(headers.keys().find(told), None, "{path} {headers:?}");
            assert_ne!(headers.get("access-control-expose-headers"), Some(&"x-secret".parse().unwrap()));
        }
        for path in ["/v1/responses", "/v1/chat/completions", "/v1/models", "/v1/responses/resp_1"] {
            let (status, headers) = ask(&gateway, "OPTIONS", path, &PREFLIGHT).await;
            assert_eq!(headers.get("x-upstream"), None);
            assert_eq!(allowed_origin(&headers), (!args.is_empty()).then_some(APP), "{path}");
            assert_eq!(status, if args.is_empty() { 403 } else { 200 }, "{path}");
        }
        assert!(!methods.lock().unwrap().contains(&Method::OPTIONS), "a preflight reached the upstream");
    }
}

#[tokio::test]
async fn a_page_may_show_a_key() {
    let keys = [("GATEWAY_KEYS", "secret")];
    let (gateway, methods) = start(&["--cors", APP, "--api-key-env", "GATEWAY_KEYS"], &keys).await;
    let (status, headers) = ask(&gateway, "OPTIONS", "/v1/responses", &PREFLIGHT).await;
    let allowed = headers["access-control-allow-headers"].to_str().unwrap().to_ascii_lowercase();
    let allowed: Vec<_> = allowed.split(',').map(str::trim).collect();
    assert!(allowed.contains(&"authorization") && allowed.contains(&"*"), "a * does not stand for it: {allowed:?}");
    assert_eq!((status, allowed_origin(&headers)), (200, Some(APP)));
    let (status, headers) = ask(&gateway, "POST", "/v1/responses", &[("origin", APP)]).await;
    assert_eq!((status, allowed_origin(&headers)), (401, Some(APP)), "the page can read why");
    let shown = [("origin", APP), ("authorization", "Bearer secret")];
    assert_eq!(ask(&gateway, "POST", "/v1/responses", &shown).await.0, 200);
    assert_eq!(methods.lock().unwrap().as_slice(), [Method::POST]);
}
