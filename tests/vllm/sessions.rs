//! Sessions of the real Codex.

use serde_json::json;

use crate::{
    codex::Codex,
    prompter::{Prompter, Say},
    words::word,
};

#[tokio::test]
#[ignore = "needs vLLM: tests/vllm/run.sh"]
async fn codex_writes_a_file_with_apply_patch() {
    let (name, text) = (format!("{}.txt", word()), word());
    let patch = format!("*** Begin Patch\n*** Add File: {name}\n+{text}\n*** End Patch\n");
    let script = [Say::call(&["apply_patch"], json!({"input": patch})), Say::text(&text)];
    for lite in [false, true] {
        let codex = || {
            let known =
                json!({"apply_patch_tool_type": "freeform", "use_responses_lite": lite, "context_window": 60000});
            Codex::new().asks_for("tiny").knows(known)
        };
        let prompter = Prompter::start(script.clone()).await;
        let Some(run) = codex().run_on(&prompter.url).await else { return };
        assert!(run.succeeded, "{}", run.printed);
        assert_eq!(run.last_message, text);
        run.assert_file(&name, &format!("{text}\n"));
        assert!(prompter.seen()[1].to_string().contains("Success"));

        let prompter = Prompter::start(script.clone()).await;
        let run = codex().without_gateway().run_on(&prompter.url).await.unwrap();
        assert!(!run.cwd.join(&name).exists(), "{}", run.printed);
    }
}

#[tokio::test]
#[ignore = "needs vLLM: tests/vllm/run.sh"]
async fn codex_finds_a_tool_and_calls_it() {
    let (server, tool, text) = (word(), word(), word());
    let script = [
        Say::call(&["tool_search"], json!({"query": tool, "limit": 1})),
        Say::call(&[&server, &tool], json!({"text": text})),
        Say::text(&text),
    ];
    let codex = || {
        let known = json!({"supports_search_tool": true, "context_window": 60000});
        Codex::new().asks_for("tiny").knows(known).server(&server, &[&tool])
    };
    let heard = format!("{tool} heard: {text}");
    let prompter = Prompter::start(script.clone()).await;
    let Some(run) = codex().run_on(&prompter.url).await else { return };
    assert!(run.succeeded, "{}", run.printed);
    assert!(prompter.seen()[2].to_string().contains(&heard), "{}", run.printed);

    let prompter = Prompter::start(script).await;
    codex().without_gateway().run_on(&prompter.url).await.unwrap();
    assert!(!prompter.seen().iter().any(|request| request.to_string().contains(&heard)));
}
