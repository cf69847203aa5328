#![allow(clippy::disallowed_methods)]

use serde_json::{Value as Json, json};

use super::*;

fn parse(text: &str) -> Result<Create, ApiError> {
    Create::parse(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn a_create_frame_becomes_a_body() {
    for (frame, body, prewarm) in [
        (r#"{"type":"response.create","x": 1.0e+2 ,"stream":true}"#, r#"{"x": 1.0e+2 ,"stream":true}"#, false),
        (r#"{"x":1,"type":"response.create"}"#, r#"{"x":1,"stream":true}"#, false),
        (r#"{"type":"response.create","stream":false,"generate":false}"#, r#"{"stream":true}"#, true),
        (r#"{"type":"response.create","generate":true,"stream":true}"#, r#"{"stream":true}"#, false),
        (r#"{"type":"response.create","generate":null,"stream":null}"#, r#"{"stream":true}"#, false),
    ] {
        let create = parse(frame).unwrap();
        assert_eq!(create.request.text(), body, "{frame}");
        assert_eq!(create.prewarm, prewarm, "{frame}");
    }
}

#[test]
fn other_frames_are_refused_with_a_reason() {
    for (frame, code, word) in [
        ("", "invalid_json", "parsed"),
        ("{", "invalid_json", "parsed"),
        ("[]", "invalid_json", "not an object"),
        ("{}", "unknown_frame_type", "no type"),
        (r#"{"type":3}"#, "unknown_frame_type", "no type"),
        (r#"{"type":"response.cancel"}"#, "unknown_frame_type", "response.cancel"),
        (r#"{"type":"response.create","generate":0}"#, "invalid_type", "generate"),
    ] {
        let error = parse(frame).unwrap_err();
        assert_eq!(error.status(), 400);
        let object: Json = serde_json::from_slice(&error.to_body()).unwrap();
        assert_eq!(object["error"]["code"], code, "{frame}");
        assert!(error.message().contains(word), "{frame}: {error}");
    }
    let long = parse(&json!({"type": "x".repeat(10_000)}).to_string()).unwrap_err();
    assert!(long.message().len() < 200);
}

#[test]
fn an_error_of_http_keeps_its_object() {
    for (status, body, error) in [
        (404, r#"{"error":{"message":"no","code":404,"z":[1]}}"#, json!({"message": "no", "code": 404, "z": [1]})),
        (
            400,
            r#"{"error":"bad"}"#,
            json!({"message": "bad", "type": "invalid_request_error", "param": null, "code": null}),
        ),
        (500, "oops\n", json!({"message": "oops", "type": "server_error", "param": null, "code": null})),
        (503, "", json!({"message": "Service Unavailable", "type": "server_error", "param": null, "code": null})),
        (
            400,
            r#"{"detail":"x"}"#,
            json!({"message": r#"{"detail":"x"}"#, "type": "invalid_request_error", "param": null, "code": null}),
        ),
    ] {
        let frame = error_frame_from(
            StatusCode::from_u16(status).unwrap(),
            &HeaderMap::new(),
            &Bytes::from_static(body.as_bytes()),
        );
        let frame: Json = serde_json::from_slice(&frame).unwrap();
        assert_eq!(frame, json!({"type": "error", "status": status, "error": error}));
    }
}

#[test]
fn when_to_come_again_goes_along() {
    let headers = HeaderMap::from_iter([(RETRY_AFTER, "7".parse().unwrap())]);
    let frame = error_frame_from(StatusCode::TOO_MANY_REQUESTS, &headers, &Bytes::new());
    let frame: Json = serde_json::from_slice(&frame).unwrap();
    assert_eq!(frame["headers"], json!({"retry-after": "7"}));
}
