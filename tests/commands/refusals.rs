//! `tower-responses check` before servers that answer, but with no response.

use axum::{Router, body::Body, extract::Request, http::Method, response::Response};
use serde_json::{Value, json};

use crate::{check::check, program, run};

/// One answer: status, content type, body; a redirect's type is where it leads.
type Reply = (u16, &'static str, String);

fn json_reply(status: u16, body: &Value) -> Reply {
    (status, "application/json", body.to_string())
}

fn page(status: u16) -> Reply {
    (status, "text/html; charset=utf-8", "<!doctype html>\n<html><head><title>Sign in</title></head></html>".to_owned())
}

fn moved() -> Reply {
    (308, "https://models.example/v1", String::new())
}

fn models(names: &[&str]) -> Reply {
    let models: Vec<_> = names.iter().map(|name| json!({"id": name, "object": "model"})).collect();
    json_reply(200, &json!({"object": "list", "data": models}))
}

/// What a server says to each question: its models, a response, a chat completion.
async fn start([list, responses, chat]: [Reply; 3]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(move |request: Request| {
        let (status, kind, body) = match (request.method(), request.uri().path()) {
            (&Method::GET, "/v1/models") => list.clone(),
            (&Method::POST, "/v1/responses") => responses.clone(),
            (&Method::POST, "/v1/chat/completions") => chat.clone(),
            _ => json_reply(404, &json!({"detail": "Not Found"})),
        };
        let name = if (300..400).contains(&status) { "location" } else { "content-type" };
        let response = Response::builder().status(status).header(name, kind).body(Body::from(body)).unwrap();
        async { response }
    });
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

fn no_route() -> Reply {
    json_reply(404, &json!({"detail": "Not Found"}))
}

fn chat() -> Reply {
    json_reply(200, &json!({"object": "chat.completion", "choices": []}))
}

/// Asks for the model `nope`. Gives the row that is broken and what the table says.
async fn broken(replies: [Reply; 3]) -> (String, String) {
    let upstream = start(replies).await;
    let (code, report, _) = check(&upstream, &["--model", "nope"]).await;
    assert_eq!((code, &report["usable"]), (1, &json!(false)), "{report:#}");
    let rows = report["checks"].as_array().unwrap().iter().filter(|row| row["state"] == "broken");
    let names: Vec<_> = rows.map(|row| row["name"].as_str().unwrap()).collect();
    let (_, table, _) = run(program().args(["check", "--upstream", &upstream, "--model", "nope"])).await;
    (names.join(","), table)
}

#[tokio::test]
async fn a_model_that_is_missing_is_no_missing_route() {
    let vllm = json!({"error": {"message": "The model `nope` does not exist. Valid aliases: tiny.", "type": "NotFoundError", "param": "model", "code": 404}});
    let openai = json!({"error": {"message": "The requested model cannot be used.", "type": "invalid_request_error", "param": null, "code": "model_not_found"}});
    let ollama =
        json!({"error": {"message": "model 'nope' not found", "type": "not_found_error", "param": null, "code": null}});
    let litellm = json!({"error": {"message": "/responses: Invalid model name passed in model=nope. Call `/v1/models` to view available models for your key.", "type": "None", "param": "None", "code": "400"}});
    let text = json!({"error": "Repository Not Found for url: https://hub.example/api/models/nope/revision/main."});
    for (status, body) in [(404, vllm), (404, openai), (404, ollama), (400, litellm), (404, text)] {
        // Chat may take any name.
        for chat in [chat(), no_route()] {
            let (rows, table) = broken([models(&["tiny", "small"]), json_reply(status, &body), chat]).await;
            assert_eq!(rows, "model", "{table}");
            assert!(table.contains("tiny, small") && table.contains("--model"), "{table}");
            assert!(!table.contains("/v1/responses") && !table.contains("Not usable"), "{table}");
        }
    }
}

#[tokio::test]
async fn a_route_that_is_missing_is_no_missing_model() {
    let text = |status, text: &str| (status, "text/plain", text.to_owned());
    let invalid = json!({"error": {"message": "Invalid URL (POST /v1/responses)", "type": "invalid_request_error", "param": null, "code": null}});
    let llama = json!({"error": {"message": "File Not Found", "type": "not_found_error", "code": 404}});
    for missing in [
        no_route(),
        json_reply(405, &json!({"detail": "Method Not Allowed"})),
        text(404, "Not Found"),
        text(404, "404 page not found"),
        json_reply(404, &llama),
        json_reply(404, &invalid),
    ] {
        let unknown = json!({"error": {"message": "The model `nope` does not exist.", "type": "NotFoundError", "param": "model", "code": 404}});
        for chat in [chat(), json_reply(404, &unknown), json_reply(400, &json!({"error": {"message": "no"}}))] {
            let (rows, table) = broken([models(&["tiny"]), missing.clone(), chat]).await;
            assert_eq!(rows, "responses", "{table}");
            assert!(table.contains("only Chat Completions"), "{table}");
        }
        let (rows, table) = broken([models(&["tiny"]), missing.clone(), no_route()]).await;
        assert_eq!(rows, "responses", "{table}");
        assert!(table.contains("there is no /v1/responses") && !table.contains("only Chat"), "{table}");
    }
}

#[tokio::test]
async fn what_else_is_in_the_way_is_said() {
    let denied = json_reply(403, &json!({"error": {"message": "no key"}}));
    let loading =
        json_reply(503, &json!({"error": {"message": "Loading model", "type": "unavailable_error", "code": 503}}));
    for (replies, row, words) in [
        ([moved(), moved(), moved()], "model list", "https://models.example/v1"),
        ([models(&["tiny"]), moved(), moved()], "responses", "https://models.example/v1"),
        ([page(200), page(200), page(200)], "responses", "a web page"),
        ([page(404), page(404), page(404)], "responses", "a web page"),
        ([denied.clone(), denied.clone(), denied.clone()], "model list", "--upstream-api-key-env"),
        ([models(&["tiny"]), denied.clone(), denied], "responses", "--upstream-api-key-env"),
        ([loading.clone(), loading.clone(), loading], "responses", "try again"),
        ([models(&[]), no_route(), no_route()], "responses", "there is no /v1/responses"),
    ] {
        let (rows, table) = broken(replies).await;
        assert_eq!(rows, row, "{table}");
        assert!(table.contains(words), "{words}: {table}");
    }
}

#[tokio::test]
async fn a_server_that_lists_nothing_wants_to_hear_a_name() {
    let missing = json!({"error": {"message": "you must provide a model parameter", "type": "invalid_request_error", "param": null, "code": null}});
    let upstream = start([models(&[]), json_reply(400, &missing), no_route()]).await;
    let (code, table, _) = run(program().args(["check", "--upstream", &upstream])).await;
    assert_eq!(code, 1, "{table}");
    assert!(table.contains("names no models") && table.contains("--model"), "{table}");
}

#[tokio::test]
async fn why_a_server_is_not_reached_is_said() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 1024]).await;
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").await;
        }
    });
    for (address, words) in [(free, "refused"), (silent, "no HTTP")] {
        let (code, table, _) = run(program().args(["check", "--upstream", &format!("http://{address}")])).await;
        assert!(code == 2 && table.contains(words), "{code} {table}");
    }
}
