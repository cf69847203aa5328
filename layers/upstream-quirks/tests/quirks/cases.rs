//! What upstreams say, and what clients are to see of it.
//!
//! A fixture whose name begins with `vllm-` is what a real vLLM 0.32.0 answered, byte for byte. The
//! others are written by hand: what it cannot be made to say, and what other servers do.

use std::time::Duration;

use serde_json::{Value, json};
use tower_responses_upstream_quirks::Fix;

use crate::{rig::Seen, table::Case};

/// A stream that ended with `response.failed`, for this code.
fn failed(seen: &Seen, code: &str) {
    let last = seen.last();
    assert_eq!(last["type"], "response.failed");
    assert_eq!(last["response"]["error"]["code"], code);
    assert!(last["response"]["error"]["message"].as_str().is_some_and(|message| message.len() > 8));
}

fn error(seen: &Seen, status: u16) -> Value {
    assert_eq!(seen.status, status);
    seen.json()["error"].clone()
}

fn output(seen: &Seen) -> Value {
    seen.last()["response"]["output"].clone()
}

pub(crate) fn all() -> Vec<Case> {
    let plain = || json!({"model": "m", "input": "hi"});
    let mut cases = ends();
    cases.extend(cut());
    cases.extend(errors());
    cases.extend(time());
    cases.extend(shapes());
    cases.extend([
        Case::new(Fix::ModelHeader, "model-header", |seen| {
            assert!(!seen.headers.contains_key("openai-model"));
            assert_eq!(seen.headers["x-request-id"], "req_1");
        })
        .request(plain()),
        Case::new(Fix::EchoedTools, "tools-bare", |seen| {
            assert_eq!(seen.json()["tools"][0]["parameters"], Value::Null);
            assert!(seen.json()["tools"][0].get("strict").is_some());
        })
        .request(plain())
        .generic(),
        Case::new(Fix::JsonForStream, "vllm-text", |seen| {
            assert_eq!(seen.of("response.output_text.delta")[0]["delta"], "The quick brown fox.");
            assert_eq!(seen.last()["type"], "response.completed");
        }),
        Case::new(Fix::JsonForStream, "vllm-cut-text", |seen| {
            assert_eq!(seen.last()["type"], "response.incomplete");
            assert_eq!(output(seen)[0]["status"], "incomplete");
        }),
        Case::new(Fix::JsonForStream, "vllm-call", |seen| {
            assert_eq!(seen.of("response.function_call_arguments.done").len(), 1);
            assert_eq!(seen.of("response.output_item.done")[0]["item"]["name"], "shell");
        }),
    ]);
    cases
}

fn ends() -> Vec<Case> {
    let broken: fn(&Seen) = |seen| failed(seen, "server_error");
    let mut cases: Vec<_> = ["vllm-bad-schema-stream", "cut-before-anything", "garbage"]
        .map(|fixture| Case::new(Fix::MissingTerminal, fixture, broken))
        .into();
    let text: fn(&Seen) = |seen| {
        failed(seen, "server_error");
        let done = &seen.of("response.output_item.done")[0]["item"];
        assert_eq!(done["status"], "incomplete");
        assert_eq!(done["content"][0]["text"], "Hello there");
        assert_eq!(seen.of("response.output_text.done")[0]["text"], "Hello there");
        assert_eq!(seen.of("response.content_part.done")[0]["part"]["text"], "Hello there");
        assert_eq!(output(seen)[0], *done);
    };
    cases
        .extend(["cut-in-text", "cut-in-event", "cut-chunked"].map(|name| Case::new(Fix::MissingTerminal, name, text)));
    cases.extend([
        Case::new(Fix::MissingTerminal, "vllm-engine-death-stream", |seen| {
            failed(seen, "server_error");
            assert_eq!(output(seen)[0]["status"], "incomplete");
            let told: String =
                seen.of("response.output_text.delta").iter().filter_map(|delta| delta["delta"].as_str()).collect();
            assert_eq!(output(seen)[0]["content"][0]["text"], told);
        }),
        Case::new(Fix::MissingTerminal, "cut-in-reasoning", |seen| {
            failed(seen, "server_error");
            assert_eq!(output(seen)[0]["content"][0]["text"], "I think");
            assert_eq!(output(seen)[0]["status"], "incomplete");
            assert_eq!(seen.of("response.reasoning_text.done").len(), 1);
        }),
        Case::new(Fix::MissingTerminal, "cut-in-call", |seen| {
            failed(seen, "server_error");
            let done = seen.of("response.output_item.done");
            assert!(done.iter().all(|done| done["item"]["type"] == "message"), "no call is done");
            assert_eq!(output(seen)[1]["arguments"], "{\"cmd\":\"rm -rf /tm");
            assert_eq!(output(seen)[1]["status"], "incomplete");
            assert_eq!(output(seen)[0]["status"], "completed");
        }),
        Case::new(Fix::MissingTerminal, "cut-after-call-done", |seen| {
            failed(seen, "server_error");
            assert_eq!(output(seen)[0]["status"], "completed");
        }),
        Case::new(Fix::ErrorEvent, "error-event", |seen| {
            failed(seen, "server_error");
            assert_eq!(seen.of("error")[0]["message"], "the engine died");
            assert_eq!(seen.last()["response"]["error"]["message"], "the engine died");
        }),
        Case::new(Fix::ErrorEvent, "error-event-nested", |seen| {
            assert_eq!(seen.last()["response"]["error"]["message"], "the engine died");
        }),
        Case::new(Fix::ErrorEvent, "error-untyped", |seen| {
            assert_eq!(seen.last()["response"]["error"]["message"], "the engine died");
        }),
        Case::new(Fix::FailedError, "failed-without-error", |seen| failed(seen, "server_error")),
    ]);
    cases
}

fn cut() -> Vec<Case> {
    vec![
        Case::new(Fix::IncompleteStatus, "vllm-cut-text-stream", |seen| {
            let last = seen.last();
            assert_eq!(last["type"], "response.incomplete");
            assert_eq!(last["response"]["incomplete_details"]["reason"], "max_output_tokens");
            assert_eq!(output(seen)[0]["status"], "incomplete");
            assert_eq!(seen.of("response.output_item.done")[0]["item"]["status"], "incomplete");
        }),
        Case::new(Fix::IncompleteStatus, "vllm-cut-message-stream", |seen| {
            let done = seen.of("response.output_item.done");
            let statuses: Vec<_> = done.iter().map(|done| done["item"]["status"].clone()).collect();
            assert_eq!(statuses, ["completed", "incomplete"], "the reasoning before the message was not cut");
            assert_eq!(seen.last()["type"], "response.incomplete");
        }),
        Case::new(Fix::IncompleteStatus, "vllm-cut-reasoning-stream", |seen| {
            let done = &seen.of("response.output_item.done")[0]["item"];
            assert_eq!((&done["type"], &done["status"]), (&json!("reasoning"), &json!("incomplete")));
            assert_eq!(output(seen)[0]["status"], "incomplete");
        }),
        Case::new(Fix::IncompleteStatus, "vllm-cut-text", |seen| {
            assert_eq!(seen.json()["output"][0]["status"], "incomplete");
        })
        .request(json!({"input": "hi"})),
        Case::new(Fix::CutCall, "vllm-cut-call-stream", |seen| {
            assert!(seen.of("response.output_item.done").is_empty(), "half a call is not done");
            assert_eq!(output(seen)[0]["status"], "incomplete");
            assert_eq!(output(seen)[0]["arguments"], "{\"cmd\":");
        }),
    ]
}

fn errors() -> Vec<Case> {
    let overflow: fn(&Seen) = |seen| {
        let error = error(seen, 400);
        assert_eq!(error["code"], "context_length_exceeded");
        assert_eq!(error["type"], "invalid_request_error");
    };
    vec![
        Case::new(Fix::ContextOverflow, "vllm-context-overflow", overflow),
        Case::new(Fix::ContextOverflow, "old-vllm-error", overflow),
        Case::new(Fix::ContextOverflow, "llamacpp-overflow", overflow).generic(),
        Case::new(Fix::ContextOverflow, "error-overflow", |seen| failed(seen, "context_length_exceeded")),
        Case::new(Fix::ContextOverflow, "failed-overflow", |seen| failed(seen, "context_length_exceeded")),
        Case::new(Fix::GatewayKey, "unauthorized", |seen| {
            assert!(error(seen, 502)["message"].as_str().unwrap().contains("Unauthorized"));
            assert!(!seen.headers.contains_key("www-authenticate"));
        })
        .configure(|layer| layer.gateway_key(true)),
        Case::new(Fix::GatewayKey, "forbidden-html", |seen| {
            assert_eq!(error(seen, 502)["code"], "upstream_authentication_failed");
        })
        .configure(|layer| layer.gateway_key(true)),
        Case::new(Fix::ErrorBody, "unauthorized", |seen| {
            assert_eq!(error(seen, 401)["message"], "Unauthorized");
            assert_eq!(error(seen, 401)["type"], "authentication_error");
        }),
        Case::new(Fix::ErrorBody, "vllm-detail-route", |seen| assert_eq!(error(seen, 404)["message"], "Not Found")),
        Case::new(Fix::ErrorBody, "vllm-detail-not-utf8", |seen| {
            assert_eq!(error(seen, 400)["message"], "There was an error parsing the body");
        }),
        Case::new(Fix::ErrorBody, "bad-gateway-html", |seen| {
            assert!(error(seen, 502)["message"].as_str().unwrap().contains("<title>502 Bad Gateway</title>"));
            assert_eq!(seen.headers["content-type"], "application/json");
            assert_eq!(seen.headers["x-request-id"], "req_9");
        }),
        Case::new(Fix::ErrorBody, "unavailable-empty", |seen| {
            assert!(error(seen, 503)["message"].as_str().unwrap().contains("503"));
            assert_eq!(seen.headers["retry-after"], "7");
        }),
        Case::new(Fix::ErrorBody, "rate-limit-text", |seen| {
            assert_eq!(error(seen, 429)["type"], "rate_limit_error");
            assert_eq!(seen.headers["retry-after"], "3");
            assert_eq!(seen.headers["x-request-id"], "req_7");
        }),
        Case::new(Fix::ErrorCode, "vllm-unknown-model", |seen| {
            assert_eq!(error(seen, 404)["code"], "404");
            assert_eq!(error(seen, 404)["param"], "model");
        }),
        Case::new(Fix::ErrorCode, "vllm-engine-death", |seen| assert_eq!(error(seen, 500)["code"], "500")),
        Case::new(Fix::ErrorCode, "vllm-bad-schema", |seen| assert_eq!(error(seen, 400)["code"], "400")),
        Case::new(Fix::ErrorStatus, "error-in-200", |seen| {
            assert_eq!(error(seen, 429)["message"], "Provider returned error");
        }),
    ]
}

fn time() -> Vec<Case> {
    let beat = |layer: tower_responses_upstream_quirks::UpstreamQuirksLayer| layer.heartbeat(Duration::from_millis(40));
    let early = |layer: tower_responses_upstream_quirks::UpstreamQuirksLayer| {
        layer.heartbeat(Duration::from_millis(40)).without(Fix::Heartbeat)
    };
    vec![
        Case::new(Fix::Heartbeat, "good-text", |seen| {
            let beats = seen.of("response.in_progress");
            assert!(beats.len() >= 3, "{} beats", beats.len());
            assert!(beats.iter().all(|beat| beat["response"]["id"] == "resp_1"));
            assert_eq!(seen.last()["type"], "response.completed");
        })
        .configure(beat)
        .pause("event: response.output_text.done", 400),
        Case::new(Fix::EarlyStream, "good-text", |seen| {
            assert!(seen.head_after < Duration::from_millis(300), "{:?}", seen.head_after);
            assert_eq!(seen.kinds()[0], "response.created");
            assert_eq!(seen.of("response.created").len(), 1);
            assert_eq!(seen.last()["type"], "response.completed");
            assert_eq!(output(seen)[0]["content"][0]["text"], "Hello there");
        })
        .configure(early)
        .pause("HTTP/1.1", 400),
        Case::new(Fix::EarlyStream, "vllm-context-overflow", |seen| failed(seen, "context_length_exceeded"))
            .configure(early)
            .pause("HTTP/1.1", 400),
        Case::new(Fix::EarlyStream, "rate-limit", |seen| {
            failed(seen, "rate_limit_exceeded");
            let message = seen.last()["response"]["error"]["message"].as_str().unwrap().to_owned();
            assert!(message.contains("try again in 3s"), "{message}");
        })
        .configure(early)
        .pause("HTTP/1.1", 400),
        Case::new(Fix::EarlyStream, "vllm-unknown-model", |seen| failed(seen, "invalid_prompt"))
            .configure(early)
            .pause("HTTP/1.1", 400),
        Case::new(Fix::EarlyStream, "bad-gateway-html", |seen| failed(seen, "server_error"))
            .configure(early)
            .pause("HTTP/1.1", 400),
        Case::new(Fix::EarlyStream, "vllm-text", |seen| {
            assert_eq!(seen.of("response.output_text.delta").len(), 1);
            assert!(seen.head_after < Duration::from_millis(300), "{:?}", seen.head_after);
        })
        .configure(early)
        .pause("HTTP/1.1", 400),
        Case::new(Fix::Linger, "vllm-text-stream", |seen| {
            assert_eq!(seen.end, Some(Ok(())));
            assert_eq!(seen.last()["type"], "response.completed");
        })
        .pause("\r\n0\r\n\r\n", 3_000),
        Case::new(Fix::MissingCreated, "no-created", |seen| assert_eq!(seen.kinds()[0], "response.created")),
        Case::new(Fix::MissingCreated, "no-created-at-all", |seen| assert_eq!(seen.kinds()[0], "response.created")),
        Case::new(Fix::DoneMarker, "done-marker", |seen| assert!(!seen.text.contains("[DONE]"))),
    ]
}

fn shapes() -> Vec<Case> {
    vec![
        Case::new(Fix::MissingItemEvents, "no-added", |seen| {
            assert_eq!(seen.of("response.output_item.added").len(), 1);
            assert_eq!(seen.of("response.content_part.added").len(), 1);
        }),
        Case::new(Fix::MissingItemEvents, "no-done", |seen| {
            assert_eq!(seen.of("response.output_text.done")[0]["text"], "Hello there");
            assert_eq!(seen.of("response.output_item.done")[0]["item"]["content"][0]["text"], "Hello there");
            assert_eq!(seen.of("response.output_item.done")[0]["item"]["status"], "completed");
        }),
        Case::new(Fix::MissingItemEvents, "call-without-events", |seen| {
            assert_eq!(seen.of("response.output_item.done")[0]["item"]["arguments"], "{\"cmd\":\"ls\"}");
        }),
        Case::new(Fix::MissingItemEvents, "call-without-added", |seen| {
            assert_eq!(seen.of("response.output_item.added")[0]["item"]["arguments"], "");
            assert_eq!(seen.of("response.function_call_arguments.delta").len(), 1);
        }),
        Case::new(Fix::MissingItemEvents, "call-without-done", |seen| {
            assert_eq!(seen.of("response.output_item.done")[0]["item"]["status"], "completed");
        }),
        Case::new(Fix::MissingItemEvents, "empty-final-output", |seen| {
            assert_eq!(output(seen)[0]["content"][0]["text"], "Hello there");
        }),
        Case::new(Fix::ItemIds, "ids-differ", |seen| {
            for event in seen.events().iter().filter(|event| event["item_id"].is_string()) {
                assert_eq!((&event["item_id"], &event["content_index"]), (&json!("msg_1"), &json!(0)));
            }
            assert_eq!(output(seen)[0]["id"], "msg_1");
        }),
        Case::new(Fix::SequenceNumbers, "numbers-minus-one", |seen| assert_eq!(seen.last()["sequence_number"], 10)),
        Case::new(Fix::SequenceNumbers, "numbers-missing", |seen| assert_eq!(seen.last()["sequence_number"], 10)),
        Case::new(Fix::SequenceNumbers, "number-missing-at-end", |seen| assert_eq!(seen.last()["sequence_number"], 10)),
        Case::new(Fix::WhitespaceMessage, "whitespace-message", |seen| {
            assert_eq!(output(seen).as_array().unwrap().len(), 2);
            let call = &seen.of("response.output_item.done")[1];
            assert_eq!((&call["output_index"], &call["item"]["type"]), (&json!(1), &json!("function_call")));
            assert!(!seen.text.contains("msg_ws"));
        }),
        Case::new(Fix::WhitespaceMessage, "vllm-whitespace-message-stream", |seen| {
            let done = seen.of("response.output_item.done");
            let kinds: Vec<_> = done.iter().map(|done| done["item"]["type"].clone()).collect();
            assert_eq!(kinds, ["reasoning", "function_call"]);
            assert_eq!(output(seen).as_array().unwrap().len(), 2);
        }),
        Case::new(Fix::WhitespaceMessage, "whitespace-message-json", |seen| {
            assert_eq!(seen.json()["output"].as_array().unwrap().len(), 2);
        })
        .request(json!({"input": "hi"})),
        Case::new(Fix::ItemStatus, "status-null", |seen| {
            assert_eq!(seen.json()["output"][0]["status"], "completed");
            assert_eq!(seen.json()["output"][1]["status"], "completed");
        })
        .request(json!({"input": "hi"})),
        Case::new(Fix::ItemStatus, "status-null-stream", |seen| {
            assert_eq!(seen.of("response.output_item.added")[0]["item"]["status"], "in_progress");
            assert_eq!(seen.of("response.output_item.done")[0]["item"]["status"], "completed");
            assert_eq!(seen.of("response.created")[0]["response"]["status"], "in_progress");
            assert_eq!(seen.last()["response"]["status"], "completed");
        }),
        Case::new(Fix::ContentArrays, "vllm-text", |seen| {
            assert_eq!(seen.json()["output"][0]["content"][0]["logprobs"], json!([]));
        })
        .request(json!({"input": "hi"})),
        Case::new(Fix::ContentArrays, "no-arrays", |seen| {
            assert!(seen.of("response.output_text.delta").iter().all(|delta| delta["logprobs"] == json!([])));
            assert_eq!(output(seen)[0]["summary"], json!([]));
            assert_eq!(output(seen)[1]["content"][0]["annotations"], json!([]));
        }),
        Case::new(Fix::Usage, "usage-chat", |seen| {
            assert_eq!(seen.json()["usage"]["input_tokens"], 3);
            assert_eq!(seen.json()["usage"]["input_tokens_details"]["cached_tokens"], 1);
            assert_eq!(seen.json()["usage"]["output_tokens_details"]["reasoning_tokens"], 0);
            assert!(seen.json()["usage"].get("prompt_tokens").is_none());
        })
        .request(json!({"input": "hi"})),
        Case::new(Fix::Usage, "usage-empty-details", |seen| {
            assert_eq!(seen.last()["response"]["usage"]["input_tokens_details"]["cached_tokens"], 0);
            assert_eq!(seen.last()["response"]["usage"]["output_tokens_details"]["reasoning_tokens"], 0);
        }),
        Case::new(Fix::ResponseFields, "bare-response", |seen| {
            assert_eq!(seen.last()["response"]["temperature"], 0.5, "as the request says");
            assert_eq!(seen.last()["response"]["store"], false);
        })
        .request(json!({"input": "hi", "stream": true, "temperature": 0.5})),
        Case::new(Fix::ResponseFields, "vllm-text-stream", |seen| {
            assert!(seen.last()["response"]["completed_at"].is_u64());
            assert_eq!(seen.last()["response"]["text"]["format"]["type"], "text");
        }),
        Case::new(Fix::ResponseFields, "vllm-call-stream", |seen| {
            assert!(seen.last()["response"]["completed_at"].is_u64());
        }),
    ]
}
