//! An upstream that is slow, breaks off or says no.

use std::time::Duration;

use serde_json::json;
use tower_responses::demo::{Item, Turn};

use crate::{codex::Codex, words::word};

#[tokio::test]
async fn a_silent_upstream_does_not_look_dead() {
    let text = word();
    let silent = Turn::new([Item::say(&text)]).pause_after("response.in_progress", Duration::from_secs(6));
    let codex = Codex::new().gateway(&["--heartbeat", "1"]).provider("stream_idle_timeout_ms = 2500");
    let Some(run) = codex.run([silent]).await else { return };
    run.assert_finished(&text);
}

#[tokio::test]
async fn a_call_that_was_cut_is_asked_for_again_and_runs_once() {
    let (name, text) = (word(), word());
    let call = Item::call(&["exec_command"], json!({"cmd": format!("echo {text} >> {name}; cat {name}")}));
    let turns = [
        Turn::new([call.clone()]).cut_after("response.function_call_arguments.delta"),
        Turn::new([call]),
        Turn::new([Item::say(&text)]),
    ];
    let Some(run) = Codex::new().run(turns).await else { return };
    assert!(!run.exchanges[1].request.to_string().contains("function_call_output"));
    run.assert_output(1, 0, &text);
    run.assert_file(&name, &format!("{text}\n"));
    run.assert_finished(&text);
}

#[tokio::test]
async fn codex_hears_that_the_context_is_full() {
    let message = "This model's maximum context length is 65536 tokens. However, your prompt contains at least 65537 \
                   input tokens, which exceeds this limit even without any output tokens. Please reduce the length \
                   of the input prompt. (parameter=input_tokens, value=65537)";
    let full = json!({"error": {"message": message, "type": "BadRequestError", "param": "input_tokens", "code": 400}});
    let Some(run) = Codex::new().run([Turn::error(400, full)]).await else { return };
    assert!(!run.succeeded);
    run.assert_printed("ran out of room in the model's context window");
    assert_eq!(run.exchanges.len(), 1, "it is not tried again");
}

#[tokio::test]
async fn a_busy_upstream_is_asked_again_when_it_said() {
    let text = word();
    let busy = json!({"error": {"message": "busy", "type": "rate_limit_exceeded", "param": null, "code": 429}});
    let turns = [Turn::error(429, busy).header("retry-after", "1"), Turn::new([Item::say(&text)])];
    let Some(run) = Codex::new().run(turns).await else { return };
    run.assert_finished(&text);
}

#[tokio::test]
async fn a_failing_upstream_is_asked_again() {
    let text = word();
    let failed = json!({"error": {"message": "EngineCore encountered an issue.", "type": "InternalServerError", "param": null, "code": 500}});
    let Some(run) = Codex::new().run([Turn::error(500, failed), Turn::new([Item::say(&text)])]).await else { return };
    run.assert_finished(&text);
}
