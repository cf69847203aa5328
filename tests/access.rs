//! Who may ask a gateway, and what it shows of that further on.

#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use support::{
    Gateway, TempDir,
    raw::{Recorder, code, raw, raw_at},
    send,
};

const BODY: &str = r#"{"model":"m","input":"hi"}"#;

/// A request of a page, with what tells where it is from.
fn page(method: &str, path: &str, headers: &str) -> Vec<u8> {
    let kind = if method == "POST" { "content-type: application/json\r\n" } else { "" };
    let body = if method == "POST" { BODY } else { "" };
    format!("{method} {path} HTTP/1.1\r\n{headers}{kind}content-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

/// All that a page can ask: each of these was answered before.
const REQUESTS: [(&str, &str); 8] = [
    ("POST", "/v1/responses"),
    ("GET", "/v1/responses/resp_1"),
    ("DELETE", "/v1/responses/resp_1"),
    ("GET", "/v1/models"),
    ("POST", "/v1/chat/completions"),
    ("GET", "/health"),
    ("GET", "/ready"),
    ("GET", "/metrics"),
];

const UPGRADE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn on_loopback_a_page_of_another_site_gets_no_answer() {
    let upstream = Recorder::start().await;
    let gateway = Gateway::start(&["--upstream", &upstream.url, "--store", "memory"]);
    let foreign = [
        ("host: evil.example\r\n", "host_not_allowed"),
        ("host: evil.example:8080\r\norigin: http://evil.example:8080\r\n", "host_not_allowed"),
        ("host: localhost.evil.example\r\n", "host_not_allowed"),
        ("host: 127.0.0.1.evil.example\r\n", "host_not_allowed"),
        ("host: 192.168.1.1:8080\r\n", "host_not_allowed"),
        ("host: \r\n", "host_not_allowed"),
        ("host: localhost\r\nhost: evil.example\r\n", "host_not_allowed"),
        ("host: localhost\r\norigin: https://evil.example\r\n", "origin_not_allowed"),
        ("host: 127.0.0.1\r\norigin: null\r\n", "origin_not_allowed"),
        ("host: localhost\r\norigin: http://localhost.evil.example\r\n", "origin_not_allowed"),
    ];
    for (headers, expected) in foreign {
        for (method, path) in REQUESTS {
            let (status, _, body) = raw(&gateway, &page(method, path, headers)).await;
            assert_eq!((status, code(&body).as_str()), (403, expected), "{method} {path} {headers}");
        }
        let (status, _, body) = raw(&gateway, &page("GET", "/v1/responses", &format!("{headers}{UPGRADE}"))).await;
        assert_eq!((status, code(&body).as_str()), (403, expected), "a WebSocket, {headers}");
    }
    assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
}

#[tokio::test]
async fn on_loopback_those_who_are_there_are_answered() {
    let upstream = Recorder::start().await;
    let gateway = Gateway::start(&["--upstream", &upstream.url, "--store", "memory"]);
    let address = gateway.url.strip_prefix("http://").unwrap();
    let port = address.rsplit(':').next().unwrap();
    for headers in [
        format!("host: {address}\r\n"),
        format!("host: localhost:{port}\r\n"),
        format!("host: [::1]:{port}\r\n"),
        format!("host: LOCALHOST:{port}\r\norigin: http://localhost:3000\r\n"),
        "host: 127.0.0.1\r\norigin: http://[::1]:3000\r\n".to_owned(),
    ] {
        for (method, path) in [("POST", "/v1/responses"), ("GET", "/v1/models"), ("GET", "/metrics")] {
            let (status, _, body) = raw(&gateway, &page(method, path, &headers)).await;
            assert_eq!(status, 200, "{method} {path} {headers}: {body}");
        }
    }
    let socket = page("GET", "/v1/responses", &format!("host: {address}\r\n{UPGRADE}"));
    assert_eq!(raw(&gateway, &socket).await.0, 101);
    // What has no host is no browser; a URL in place of a path names one.
    assert_eq!(raw(&gateway, b"GET /health HTTP/1.0\r\n\r\n").await.0, 200);
    assert_eq!(raw(&gateway, b"GET http://localhost/health HTTP/1.1\r\nhost: localhost\r\n\r\n").await.0, 200);
    let elsewhere = b"GET http://evil.example/health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert_eq!(raw(&gateway, elsewhere).await.0, 403);
}

#[tokio::test]
async fn over_http2_the_authority_is_the_host() {
    let gateway = Gateway::start(&["--store", "memory"]);
    let address = gateway.url.strip_prefix("http://").unwrap();
    for (authority, status) in
        [(address, StatusCode::OK), ("localhost", StatusCode::OK), ("evil.example", StatusCode::FORBIDDEN)]
    {
        let stream = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), stream).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get(format!("http://{authority}/health")).version(Version::HTTP_2);
        let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), status, "{authority}");
    }
}

/// Host and origin, and what they get at a gateway with these arguments and this environment.
async fn who_may(args: &[&str], env: &[(&str, &str)], headers: &str) -> u16 {
    let gateway = Gateway::start_with(&[&["--store", "memory"], args].concat(), env);
    raw(&gateway, &page("GET", "/v1/models", headers)).await.0
}

#[tokio::test]
async fn hosts_can_be_allowed_and_are_looked_at_where_nothing_else_guards() {
    let evil = "host: evil.example\r\n";
    let allowed = ["--allow-host", "box.lan", "--allow-host", "other.lan"];
    assert_eq!(who_may(&allowed, &[], "host: BOX.lan:80\r\norigin: https://other.lan\r\n").await, 200);
    assert_eq!(who_may(&allowed, &[], evil).await, 403);
    assert_eq!(who_may(&[], &[("TOWER_RESPONSES_ALLOWED_HOSTS", "evil.example")], evil).await, 200);
    assert_eq!(who_may(&["--allow-host", "*"], &[], evil).await, 200);
    // Whose pages may come: the list of --cors.
    let app = "host: localhost\r\norigin: https://app.example\r\n";
    assert_eq!(who_may(&["--cors", "https://app.example"], &[], app).await, 200);
    assert_eq!(who_may(&["--cors", "https://other.example"], &[], app).await, 403);
    assert_eq!(who_may(&["--cors", "*"], &[], app).await, 200);
    // A page does not know the key.
    let keys = [("TEST_GATEWAY_KEYS", "alpha")];
    let shown = format!("{evil}authorization: Bearer alpha\r\n");
    assert_eq!(who_may(&["--api-key-env", "TEST_GATEWAY_KEYS"], &keys, &shown).await, 200);
    assert_eq!(who_may(&["--api-key-env", "TEST_GATEWAY_KEYS"], &keys, evil).await, 401);
    let both = [&["--api-key-env", "TEST_GATEWAY_KEYS"], &allowed[..]].concat();
    assert_eq!(who_may(&both, &keys, &shown).await, 403);
}

/// A gateway that listens everywhere is asked by many names.
#[tokio::test]
async fn who_listens_everywhere_answers_to_every_name_unless_some_are_named() {
    let folder = TempDir::new();
    let config = folder.0.join("config.toml");
    for (allowed, status) in [("", 200), ("allowed_hosts = ['box.lan']\n", 403)] {
        std::fs::write(&config, format!("store = 'memory'\n{allowed}")).unwrap();
        let gateway = Gateway::start(&["--config", config.to_str().unwrap(), "--listen", "0.0.0.0:0"]);
        let address = gateway.url.replace("http://0.0.0.0", "127.0.0.1");
        assert_eq!(raw_at(&address, &page("GET", "/v1/models", "host: evil.example\r\n")).await.0, status);
        assert_eq!(raw_at(&address, &page("GET", "/v1/models", "host: box.lan\r\n")).await.0, 200);
    }
}

/// A `Blob` without a type has no content type, and a page may send it without asking.
#[tokio::test]
async fn a_response_is_made_only_of_what_says_to_be_json() {
    let upstream = Recorder::start().await;
    let gateway = Gateway::start(&["--upstream", &upstream.url, "--store", "memory"]);
    let post = async |path: &str, kind: &str| {
        let length = BODY.len();
        let request =
            format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{kind}content-length: {length}\r\n\r\n{BODY}");
        raw(&gateway, request.as_bytes()).await
    };
    for kind in [
        "",
        "content-type: \r\n",
        "content-type: text/plain\r\n",
        "content-type: text/plain; a=application/json\r\n",
        "content-type: application/x-www-form-urlencoded\r\n",
        "content-type: multipart/form-data\r\n",
    ] {
        for path in ["/v1/responses", "/responses/"] {
            let (status, _, body) = post(path, kind).await;
            assert_eq!((status, code(&body).as_str()), (415, "unsupported_media_type"), "{path} {kind}");
        }
    }
    assert!(upstream.seen().is_empty());
    for kind in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"] {
        let (status, _, body) = post("/v1/responses", &format!("content-type: {kind}\r\n")).await;
        assert_eq!(status, 200, "{kind}: {body}");
    }
}

#[tokio::test]
async fn with_keys_the_gateways_own_answers_are_for_those_who_show_one() {
    let upstream = Recorder::start().await;
    let gateway = Gateway::start_with(
        &["--upstream", &upstream.url, "--store", "memory", "--api-key-env", "TEST_GATEWAY_KEYS"],
        &[("TEST_GATEWAY_KEYS", "alpha")],
    );
    let get = async |path: &str, key: Option<&str>| {
        let request = Request::get(format!("{}{path}", gateway.url));
        let request = key.iter().fold(request, |request, key| request.header("authorization", format!("Bearer {key}")));
        let answer = send(request.body(Full::default()).unwrap()).await;
        let status = answer.status().as_u16();
        (status, String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap())
    };
    for key in [None, Some("beta")] {
        for path in ["/ready", "/metrics"] {
            let (status, body) = get(path, key).await;
            assert_eq!((status, code(&body).as_str()), (401, "invalid_api_key"), "{path}");
        }
        assert_eq!(get("/health", key).await.0, 200);
    }
    assert_eq!(get("/ready", Some("alpha")).await, (200, r#"{"store":true,"upstream":true}"#.to_owned()));
    let (status, text) = get("/metrics", Some("alpha")).await;
    assert!(status == 200 && text.contains("tower_responses_"), "{text}");
    assert!(upstream.seen().iter().all(|request| request.starts_with("GET /v1/models ")), "{:?}", upstream.seen());
}

#[tokio::test]
async fn a_listener_of_their_own_has_them_without_a_key() {
    let upstream = Recorder::start().await;
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let admin = format!("127.0.0.1:{port}");
    let mut gateway = Gateway::start_with(
        &["--upstream", &upstream.url, "--store", "memory", "--api-key-env", "KEYS", "--admin-listen", &admin],
        &[("KEYS", "alpha")],
    );
    for (path, status) in [("/health", 200), ("/ready", 200), ("/metrics", 200), ("/v1/models", 404), ("/", 404)] {
        let answer = raw_at(&admin, &page("GET", path, "host: localhost\r\n")).await;
        assert_eq!(answer.0, status, "{path}: {answer:?}");
    }
    assert_eq!(raw_at(&admin, &page("GET", "/metrics", "host: evil.example\r\n")).await.0, 403);
    let key = "host: localhost\r\nauthorization: Bearer alpha\r\n";
    for (path, status) in [("/health", 200), ("/ready", 404), ("/metrics", 404), ("/v1/models", 200)] {
        assert_eq!(raw(&gateway, &page("GET", path, key)).await.0, status, "{path}");
    }
    gateway.signal("TERM");
    assert!(gateway.wait(std::time::Duration::from_secs(10)).expect("it ends").success());
}

#[tokio::test]
async fn one_credential_leaves_at_most() {
    let upstream = Recorder::start().await;
    let two = "host: localhost\r\nAuthorization: Bearer one\r\nAUTHORIZATION: Bearer two\r\nx-api-key: three\r\n";
    let client = Gateway::start(&["--upstream", &upstream.url, "--store", "none"]);
    let own = Gateway::start_with(
        &["--upstream", &upstream.url, "--store", "none", "--upstream-api-key-env", "UPSTREAM"],
        &[("UPSTREAM", "ours")],
    );
    let none = Gateway::start(&["--upstream", &upstream.url, "--store", "none", "--drop-authorization"]);
    let keys = Gateway::start_with(
        &["--upstream", &upstream.url, "--store", "none", "--api-key-env", "KEYS"],
        &[("KEYS", "one,three")],
    );
    let expected: [(&Gateway, &[&str], &[&str]); 4] =
        [(&client, &["Bearer one"], &["three"]), (&own, &["Bearer ours"], &[]), (&none, &[], &[]), (&keys, &[], &[])];
    for (gateway, authorization, key) in expected {
        for path in ["/v1/responses", "/v1/chat/completions"] {
            let (status, _, body) = raw(gateway, &page("POST", path, two)).await;
            assert_eq!(status, 200, "{body}");
            assert_eq!(upstream.header("authorization"), authorization, "{path}");
            assert_eq!(upstream.header("x-api-key"), key, "{path}");
        }
    }
    // Who names the credential in `Connection` takes away only the own one.
    let (status, _, _) =
        raw(&own, &page("POST", "/v1/responses", &format!("{two}connection: authorization\r\n"))).await;
    assert_eq!((status, upstream.header("authorization")), (200, vec!["Bearer ours".to_owned()]));
}
