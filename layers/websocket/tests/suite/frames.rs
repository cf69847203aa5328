//! One frame in, one frame out for each event.

use crate::common::*;
use bytes::Bytes;
use http::Response;
use serde_json::{Value as Json, json};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{CloseCode, Data, OpCode},
    },
};
use tower_responses_core::ResponseBody;
use tower_responses_testing::{ScriptedBody, json_response, parse_sse, sse, sse_response};
use tower_responses_websocket::WebSocketLayer;

#[tokio::test]
async fn each_event_is_one_text_frame_as_it_stands_in_the_stream() {
    let text = ": hi\n\nevent: a\r\ndata: { \"type\" : \"a\", \"n\":1.0e+2,\"t\":\"é\"}\r\n\r\ndata: [DONE]\n\n\
        data: {\"type\":\"b\",\ndata: \"x\":1}\n\ndata:\ndata:  {\"type\":\"c\"\ndata\ndata:}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\"}}\n\n";
    for size in [1, 7, 4096] {
        let answer =
            move |_: &Json, _: usize| sse_response(ResponseBody::new(ScriptedBody::new().chunks_of(text, size)));
        let server = serve(WebSocketLayer::new(), answer).await;
        let mut client = Client::new(&server).await;
        client.send(&create(json!({"input": "x"}))).await;
        for expected in [
            "{ \"type\" : \"a\", \"n\":1.0e+2,\"t\":\"é\"}",
            "{\"type\":\"b\",\n\"x\":1}",
            "\n {\"type\":\"c\"\n\n}",
            "{\"type\":\"response.completed\",\"response\":{\"id\":\"r\"}}",
        ] {
            assert_eq!(client.next().await.unwrap(), Message::text(expected), "in chunks of {size}");
        }
    }
}

#[tokio::test]
async fn a_frame_is_the_body_of_a_post() {
    let server = serve(WebSocketLayer::new(), answers).await;
    let mut client = Client::new(&server).await;
    let metadata = json!({"ws_request_header_x_openai_internal_codex_responses_lite": "true"});
    let body = json!({"input": [user("hi")], "tools": [{"type": "custom"}], "client_metadata": metadata, "unknown": 1});
    let events = {
        client.send(&create(body.clone())).await;
        client.answer().await
    };
    assert_eq!(events, parse_sse(&said(1, "answer 1")));
    let mut expected = create(body);
    expected.as_object_mut().unwrap().remove("type");
    expected["stream"] = json!(true);
    assert_eq!(server.seen.bodies(), [expected]);
}

#[tokio::test]
async fn what_is_not_understood_gets_an_error_frame_and_the_connection_stays() {
    let server = serve(WebSocketLayer::new(), answers).await;
    let mut client = Client::new(&server).await;
    for (message, expected) in [
        (Message::text("{"), (400, "invalid_json")),
        (Message::text("[]"), (400, "invalid_json")),
        (Message::text("{}"), (400, "unknown_frame_type")),
        (Message::text(r#"{"type":"response.cancel"}"#), (400, "unknown_frame_type")),
        (Message::binary(vec![1, 2, 3]), (400, "unsupported_frame")),
    ] {
        client.raw(message.clone()).await;
        assert_eq!(code(&client.event().await), expected, "{message:?}");
    }
    assert_eq!(client.ask(&create(json!({"input": "x"}))).await["type"], "response.completed");
}

#[tokio::test]
async fn errors_of_http_become_error_frames_with_their_status() {
    let error = json!({"message": "Previous response not found", "type": "invalid_request_error", "param": "previous_response_id", "code": "previous_response_not_found"});
    let answer = {
        let error = error.clone();
        move |_: &Json, number: usize| match number {
            1 => json_response(400, &json!({"error": error})).map(ResponseBody::new),
            2 => Response::builder().status(429).header("retry-after", "3").body(ResponseBody::empty()).unwrap(),
            3 => json_response(200, &json!({"object": "response"})).map(ResponseBody::new),
            4 => sse_response(ResponseBody::new(
                ScriptedBody::new().data(sse(&[json!({"type": "a"})])).error(std::io::ErrorKind::ConnectionReset),
            )),
            5 => stream(sse(&[json!({"type": "a"})])),
            6 => stream(sse(&[json!({"type": "response.failed", "response": {"id": "r", "error": {"code": "x"}}})])),
            _ => answers(&Json::Null, number),
        }
    };
    let server = serve(WebSocketLayer::new(), answer).await;
    let mut client = Client::new(&server).await;
    let ask = create(json!({"input": "x"}));
    assert_eq!(client.ask(&ask).await, json!({"type": "error", "status": 400, "error": error}));
    let limited = client.ask(&ask).await;
    assert_eq!((&limited["status"], &limited["error"]["type"]), (&json!(429), &json!("rate_limit_error")));
    assert_eq!(limited["headers"], json!({"retry-after": "3"}));
    assert_eq!(code(&client.ask(&ask).await), (502, "upstream_error"));
    for _ in 0..2 {
        client.send(&ask).await;
        assert_eq!(client.event().await["type"], "a");
        assert_eq!(code(&client.event().await), (502, "upstream_error"), "a cut stream is told, nothing waits");
    }
    assert_eq!(client.ask(&ask).await["type"], "response.failed", "stays an event");
    assert_eq!(client.ask(&ask).await["type"], "response.completed");
}

#[tokio::test]
async fn an_error_of_the_service_inside_is_a_502_and_the_connection_stays() {
    let fails = tower::service_fn(|_: http::Request<tower_responses_core::RequestBody>| async {
        Err::<Response<ResponseBody>, _>(std::io::Error::other("secret"))
    });
    let server = serve_with(WebSocketLayer::new(), fails, Seen::default()).await;
    let mut client = Client::new(&server).await;
    for _ in 0..2 {
        let answer = client.ask(&create(json!({"input": "x"}))).await;
        assert_eq!(code(&answer), (502, "upstream_error"));
        assert!(!answer.to_string().contains("secret"), "it is not for the client: {answer}");
    }
}

#[tokio::test]
async fn the_end_of_a_response_is_its_last_event_not_the_end_of_its_body() {
    let body = ScriptedBody::new().data(said(1, "x")).hang();
    let watch = body.watch();
    let body = std::sync::Mutex::new(Some(body));
    let body = std::sync::Arc::new(body);
    let answer = move |_: &Json, number: usize| match body.lock().unwrap().take() {
        Some(body) => sse_response(ResponseBody::new(body)),
        None => answers(&Json::Null, number),
    };
    let server = serve(WebSocketLayer::new(), answer).await;
    let mut client = Client::new(&server).await;
    client.ask(&create(json!({"input": "x"}))).await;
    client.ask(&create(json!({"input": "x"}))).await;
    assert!(watch.is_dropped());
}

#[tokio::test]
async fn what_follows_an_error_event_comes_too() {
    let both = [json!({"type": "error", "message": "no"}), json!({"type": "response.failed", "response": {"id": "r"}})];
    let text = sse(&both);
    let after = move |_: &Json, number: usize| match number {
        1 => sse_response(ResponseBody::new(ScriptedBody::new().chunks_of(text.clone(), 9).hang())),
        _ => answers(&Json::Null, number),
    };
    let server = serve(WebSocketLayer::new(), after).await;
    let mut client = Client::new(&server).await;
    client.send(&create(json!({"input": "x"}))).await;
    assert_eq!([client.event().await, client.event().await], both);
    assert_eq!(client.ask(&create(json!({"input": "x"}))).await["type"], "response.completed");
}

#[tokio::test]
async fn pipelined_frames_are_answered_in_order() {
    let server = serve(WebSocketLayer::new().max_pipelined(3), answers).await;
    let mut client = Client::new(&server).await;
    for number in 0..20 {
        let frame =
            if number % 5 == 4 { json!({"type": "what"}) } else { create(json!({"input": number.to_string()})) };
        client.send(&frame).await;
    }
    let mut answered = 0;
    for number in 0..20 {
        let last = client.answer().await.pop().unwrap();
        if number % 5 == 4 {
            assert_eq!(code(&last), (400, "unknown_frame_type"));
        } else {
            answered += 1;
            assert_eq!(last["response"]["id"], format!("resp_{answered}"));
            assert_eq!(server.seen.bodies()[answered - 1]["input"], number.to_string());
        }
    }
}

fn fragment(text: &[u8], kind: Data, last: bool) -> Message {
    Message::Frame(Frame::message(Bytes::copy_from_slice(text), OpCode::Data(kind), last))
}

#[tokio::test]
async fn fragmented_messages_are_put_together() {
    let server = serve(WebSocketLayer::new(), answers).await;
    let mut client = Client::new(&server).await;
    let text = create(json!({"input": "é".repeat(50)})).to_string().into_bytes();
    // Cuts characters in two, with a ping between the parts.
    let (first, rest) = text.split_at(1);
    client.raw(fragment(first, Data::Text, false)).await;
    for part in rest.chunks(3) {
        client.raw(fragment(part, Data::Continue, false)).await;
    }
    client.raw(Message::Ping("in between".into())).await;
    client.raw(fragment(b"", Data::Continue, true)).await;
    assert_eq!(client.next().await.unwrap(), Message::Pong("in between".into()));
    client.answer().await;
    assert_eq!(server.seen.bodies()[0]["input"], "é".repeat(50));
}

#[tokio::test]
async fn a_frame_of_20_mb_is_served() {
    let server = serve(WebSocketLayer::new(), answers).await;
    let mut client = Client::new(&server).await;
    let large = "x".repeat(20_000_000);
    client.ask(&create(json!({"input": large}))).await;
    assert_eq!(server.seen.bodies()[0]["input"].as_str().unwrap().len(), 20_000_000);
    assert_eq!(client.ask(&create(json!({"input": "y"}))).await["type"], "response.completed");
}

#[tokio::test]
async fn too_large_a_frame_is_told_to_a_client_that_is_still_writing() {
    let server = serve(WebSocketLayer::new().max_frame(10_000_000), answers).await;
    let mut client = Client::new(&server).await;
    client.send(&create(json!({"input": "x".repeat(20_000_000)}))).await;
    assert_eq!(code(&client.event().await), (413, "request_too_large"));
    assert_eq!(client.closed().await, Some(CloseCode::Size));
    assert!(server.seen.bodies().is_empty());

    let mut client = Client::new(&server).await;
    client.raw(fragment(&[b'x'; 6_000_000], Data::Text, false)).await;
    client.raw(fragment(&[b'x'; 6_000_000], Data::Continue, true)).await;
    assert_eq!(code(&client.event().await), (413, "request_too_large"), "of several frames, too");
}

#[tokio::test]
async fn invalid_utf8_ends_the_connection_as_the_rfc_wants() {
    let server = serve(WebSocketLayer::new(), answers).await;
    let mut client = Client::new(&server).await;
    client.send(&create(json!({"input": "first"}))).await;
    client.raw(fragment(b"{\"a\":\"\xC3\x28\"}", Data::Text, true)).await;
    assert_eq!(client.answer().await.pop().unwrap()["type"], "response.completed", "what came before is answered");
    assert_eq!(code(&client.event().await), (400, "invalid_utf8"));
    assert_eq!(client.closed().await, Some(CloseCode::Invalid));
}

#[tokio::test]
async fn violations_of_the_protocol_end_the_connection() {
    let server = serve(WebSocketLayer::new(), answers).await;
    let mut client = Client::new(&server).await;
    client.raw(fragment(b"no beginning", Data::Continue, true)).await;
    assert_eq!(client.closed().await, Some(CloseCode::Protocol));
}

#[tokio::test]
async fn text_of_the_upstream_that_is_not_utf8_does_not_end_the_connection() {
    let events = b"data: {\"type\":\"a\",\"t\":\"\xC3\x28\"}\n\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\"}}\n\n";
    let server = serve(WebSocketLayer::new(), move |_: &Json, _| stream(&events[..])).await;
    let mut client = Client::new(&server).await;
    client.send(&create(json!({"input": "x"}))).await;
    assert_eq!(client.event().await["t"], "\u{FFFD}(");
    assert_eq!(client.event().await["type"], "response.completed");
}
