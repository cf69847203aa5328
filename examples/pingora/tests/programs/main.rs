//! Both programs, each started as a process of its own, between a client and an upstream that are
//! driven over TCP.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod client;
mod program;
mod upstream;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::timeout;

use self::{
    client::{Client, Protocol},
    program::{PROGRAMS, Program, SERVER_APP},
    upstream::{Answer, Upstream},
};

/// Between two events of a stream.
const PAUSE: Duration = Duration::from_millis(150);

/// For an upstream to learn that the client has left.
const ONE_SECOND: Duration = Duration::from_secs(1);

/// What the client asks for: one function of a namespace.
fn request(stream: bool) -> Value {
    let read = json!({"type": "function", "name": "read", "parameters": {"type": "object"}});
    json!({
        "model": "m",
        "input": "read the file",
        "stream": stream,
        "tools": [{"type": "namespace", "name": "mcp__fs", "tools": [read]}],
    })
}

/// The call, as the upstream says it.
fn call(status: &str, arguments: &str) -> Value {
    json!({"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "mcp__fs__read",
           "arguments": arguments, "status": status})
}

/// The call, as the client declared it.
fn restored(status: &str, arguments: &str) -> Value {
    let mut call = call(status, arguments);
    call["name"] = json!("read");
    call["namespace"] = json!("mcp__fs");
    call
}

fn response(status: &str, output: &[Value]) -> Value {
    json!({"id": "resp_1", "object": "response", "status": status, "model": "m", "output": output})
}

/// A stream with one call, made by `call`.
fn events(call: fn(&str, &str) -> Value) -> Vec<Value> {
    vec![
        json!({"type": "response.created", "sequence_number": 0, "response": response("in_progress", &[])}),
        json!({"type": "response.output_item.added", "sequence_number": 1, "output_index": 0,
               "item": call("in_progress", "")}),
        json!({"type": "response.function_call_arguments.delta", "sequence_number": 2, "output_index": 0,
               "item_id": "fc_1", "delta": "{\"path\":"}),
        json!({"type": "response.function_call_arguments.delta", "sequence_number": 3, "output_index": 0,
               "item_id": "fc_1", "delta": "\"/etc\"}"}),
        json!({"type": "response.output_item.done", "sequence_number": 4, "output_index": 0,
               "item": call("completed", r#"{"path":"/etc"}"#)}),
        json!({"type": "response.completed", "sequence_number": 5,
               "response": response("completed", &[call("completed", r#"{"path":"/etc"}"#)])}),
    ]
}

/// What of an event is about the call. The whole stack fills in what else a response has to say.
fn gist(event: &Value) -> Value {
    json!([event["type"], event["sequence_number"], event["delta"], event["item"], event["response"]["output"]])
}

/// An upstream with this answer, and the program in front of it.
async fn start(program: &str, answer: Answer) -> (Upstream, Program) {
    let upstream = Upstream::start(answer).await;
    let program = Program::start(program, upstream.url()).await;
    (upstream, program)
}

#[tokio::test]
async fn a_tool_of_a_namespace_is_flat_upstream_and_restored_for_the_client() {
    for program in PROGRAMS {
        for protocol in [Protocol::Http1, Protocol::H2c] {
            let answer = response("completed", &[call("completed", "{}")]);
            let (mut upstream, gateway) = start(program, Answer::Json(answer)).await;
            let mut client = Client::connect(gateway.address(), protocol).await;

            // Twice, on one connection.
            for _ in 0..2 {
                let (status, body) = client.post(&request(false)).await.json().await;
                assert_eq!(status, StatusCode::OK, "{program} {protocol:?}: {body}");
                assert_eq!(body["output"], json!([restored("completed", "{}")]), "{program} {protocol:?}");

                let seen = upstream.request().await;
                assert_eq!(seen.head.uri, "/v1/responses");
                assert_eq!(seen.body["input"], "read the file");
                let tools = seen.body["tools"].as_array().unwrap();
                assert_eq!(tools.len(), 1, "{program}");
                assert_eq!((&tools[0]["type"], &tools[0]["name"]), (&json!("function"), &json!("mcp__fs__read")));
            }
        }
    }
}

#[tokio::test]
async fn a_stack_parses_a_body_once() {
    let (mut upstream, gateway) = start(SERVER_APP, Answer::Json(response("completed", &[]))).await;
    let mut client = Client::connect(gateway.address(), Protocol::Http1).await;
    client.post(&request(false)).await.json().await;
    assert_eq!(upstream.request().await.head.headers["x-body-parses"], "1");
}

#[tokio::test]
async fn a_stream_arrives_live() {
    for program in PROGRAMS {
        for protocol in [Protocol::Http1, Protocol::H2c] {
            let seen = Arc::new(AtomicUsize::new(0));
            let answer = Answer::Stream { events: events(call), pause: PAUSE, seen: Some(Arc::clone(&seen)) };
            let (_upstream, gateway) = start(program, answer).await;
            let mut client = Client::connect(gateway.address(), protocol).await;
            let mut stream = client.post(&request(true)).await;

            let (mut arrived, mut times) = (Vec::new(), Vec::new());
            // The upstream sends nothing more until the client has what it sent.
            while let Some(event) = stream.event().await {
                arrived.push(event);
                times.push(Instant::now());
                seen.fetch_add(1, Ordering::SeqCst);
            }
            let gists = |events: &[Value]| events.iter().map(gist).collect::<Vec<_>>();
            assert_eq!(gists(&arrived), gists(&events(restored)), "{program} {protocol:?}");
            let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
            println!("{program} {protocol:?}: {gaps:?}");
            // Each came by itself. How late one may be is for the machine to say, not for all of them.
            let late = gaps.iter().filter(|gap| **gap > PAUSE * 2).count();
            assert!(gaps.iter().all(|gap| *gap >= PAUSE) && late < 3, "{program} {protocol:?}: {gaps:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_in_a_stream_ends_the_call_upstream() {
    for program in PROGRAMS {
        let answer = Answer::stream(events(call)[..2].to_vec(), Duration::ZERO);
        let (mut upstream, gateway) = start(program, answer.and_hang()).await;
        let mut client = Client::connect(gateway.address(), Protocol::Http1).await;
        let mut stream = client.post(&request(true)).await;
        assert!(stream.event().await.is_some());
        assert!(stream.event().await.is_some());
        assert!(timeout(PAUSE, upstream.dropped()).await.is_err(), "{program}: it goes on while the client is there");

        let left = Instant::now();
        drop((stream, client));
        timeout(ONE_SECOND, upstream.dropped()).await.expect(program);
        println!("{program}: dropped after {:?}", left.elapsed());
    }
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_ends_the_call_upstream() {
    for program in PROGRAMS {
        let (mut upstream, gateway) = start(program, Answer::Never).await;
        let mut client = Client::connect(gateway.address(), Protocol::Http1).await;
        {
            let body = request(false);
            let answer = client.post(&body);
            timeout(PAUSE, answer).await.err().expect("no answer");
        }
        upstream.request().await;
        drop(client);
        timeout(ONE_SECOND, upstream.dropped()).await.expect(program);
    }
}

#[tokio::test]
async fn a_stream_that_breaks_off_upstream_does_not_end_well() {
    for program in PROGRAMS {
        let answer = Answer::stream(events(call)[..3].to_vec(), PAUSE);
        let (_upstream, gateway) = start(program, answer.and_break()).await;
        let mut client = Client::connect(gateway.address(), Protocol::Http1).await;
        let mut stream = client.post(&request(true)).await;
        let mut kinds = Vec::new();
        while let Some(event) = stream.try_event().await.transpose() {
            let Ok(event) = event else { break };
            kinds.push(event["type"].as_str().unwrap().to_owned());
        }
        // The filter breaks off as well; the whole stack knows how to say it.
        let failed = kinds.last().is_some_and(|kind| kind == "response.failed");
        assert_eq!(
            (stream.is_broken(), failed),
            (program != SERVER_APP, program == SERVER_APP),
            "{program}: {kinds:?}"
        );
        assert!(!kinds.iter().any(|kind| kind.ends_with(".done") || kind.ends_with(".completed")), "{kinds:?}");
    }
}

#[tokio::test]
async fn a_client_that_expects_100_continue_gets_it() {
    for program in PROGRAMS {
        let answer = response("completed", &[call("completed", "{}")]);
        let (mut upstream, gateway) = start(program, Answer::Json(answer)).await;
        let answer = client::post_after_continue(gateway.address(), &request(false)).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{program}: {answer}");
        assert!(answer.contains(r#""namespace":"mcp__fs""#), "{program}: {answer}");
        assert_eq!(upstream.request().await.body["tools"][0]["name"], "mcp__fs__read");
    }
}

#[tokio::test]
async fn a_websocket_goes_through_the_same_stack() {
    let (mut upstream, gateway) = start(SERVER_APP, Answer::stream(events(call), Duration::ZERO)).await;
    let mut frame = request(true);
    frame["type"] = "response.create".into();
    let answer = client::frame(gateway.address(), &frame, "response.completed").await;
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(answer.contains(r#""namespace":"mcp__fs""#), "{answer}");
    assert_eq!(upstream.request().await.body["tools"][0]["name"], "mcp__fs__read");
}

#[tokio::test]
async fn what_is_refused_is_refused_in_openais_shape() {
    let reject = json!({"model": "m", "input": [{"type": "item_reference", "id": "x"}]}).to_string();
    for program in PROGRAMS {
        let (_upstream, gateway) = start(program, Answer::Json(json!({}))).await;
        for (headers, body, expected) in [
            (&[][..], "{\"model\":", StatusCode::BAD_REQUEST),
            (&[], "", StatusCode::BAD_REQUEST),
            (&[], &*reject, StatusCode::BAD_REQUEST),
            (&[("content-encoding", "zstd")], "{}", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ] {
            let mut client = Client::connect(gateway.address(), Protocol::Http1).await;
            let (status, answer) = client.send("/v1/responses", headers, body).await.json().await;
            assert_eq!(status, expected, "{program}: {body}: {answer}");
            assert_eq!(answer["error"]["type"], "invalid_request_error", "{program}: {body}: {answer}");
        }
    }
}

#[tokio::test]
async fn other_requests_and_errors_of_the_upstream_pass() {
    for program in PROGRAMS {
        let error = json!({"error": {"message": "no such model", "type": "not_found_error"}});
        let (mut upstream, gateway) = start(program, Answer::Error(StatusCode::NOT_FOUND, error.clone())).await;
        let mut client = Client::connect(gateway.address(), Protocol::Http1).await;
        let (status, answer) = client.post(&request(true)).await.json().await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{program}");
        for member in ["message", "type"] {
            assert_eq!(answer["error"][member], error["error"][member], "{program}");
        }
        upstream.request().await;

        let (status, answer) = client.send("/v1/chat/completions?x=1", &[], r#"{"tools":[]}"#).await.json().await;
        assert_eq!((status, answer), (StatusCode::NOT_FOUND, error), "{program}");
        let seen = upstream.request().await;
        assert_eq!(seen.head.uri, "/v1/chat/completions?x=1");
        assert_eq!(seen.body, json!({"tools": []}));
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_502() {
    for program in PROGRAMS {
        let gateway = Program::start(program, format!("http://{}", program::free_address())).await;
        let mut client = Client::connect(gateway.address(), Protocol::Http1).await;
        let (status, answer) = client.post(&request(false)).await.json().await;
        assert_eq!(status, StatusCode::BAD_GATEWAY, "{program}: {answer}");
        assert_eq!(answer["error"]["type"], "server_error", "{program}: {answer}");
    }
}
