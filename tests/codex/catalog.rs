//! What `tower-responses codex` writes, and what the gateway lists, makes Codex work.

use serde_json::json;
use tower_responses::demo::{Item, Turn};

use crate::{codex::Codex, words::word};

#[tokio::test]
async fn codex_works_with_what_we_write_for_it() {
    let (server, tool, name, text) = (word(), word(), word(), word());
    let patch = format!("*** Begin Patch\n*** Add File: {name}\n+{text}\n*** End Patch\n");
    let turns = [
        Turn::new([Item::call_with_text(&["apply_patch"], patch)]),
        Turn::new([Item::call(&[&server, &tool], json!({"text": text}))]),
        Turn::new([Item::say(&text)]),
    ];
    let Some(run) = Codex::new().server(&server, &[&tool]).set_up_by_gateway().run(turns).await else { return };
    run.assert_file(&name, &format!("{text}\n"));
    run.assert_output(1, 0, &format!("{tool} heard: {text}"));
    assert!(!run.printed.contains("Model metadata"), "{}", run.printed);
    run.assert_finished(&text);
}

#[tokio::test]
async fn settings_of_a_model_reach_codex_by_file_and_by_list() {
    let (server, tool, text) = (word(), word(), word());
    let settings = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/codex/tool_search.toml");
    // A provider with a command for its token reads the gateway's own list.
    let listed = "auth = { command = \"/bin/echo\", args = [\"token\"] }";
    for by_file in [true, false] {
        let turns = [
            Turn::new([Item::call(&["tool_search"], json!({"query": tool, "limit": 1}))]),
            Turn::new([Item::call(&[&server, &tool], json!({"text": text}))]),
            Turn::new([Item::say(&text)]),
        ];
        let codex = Codex::new().server(&server, &[&tool]).gateway(&["--config", settings]);
        let codex = if by_file { codex.set_up_by_gateway() } else { codex.provider(listed) };
        let Some(run) = codex.run(turns).await else { return };
        run.assert_output(1, 0, &format!("{tool} heard: {text}"));
        assert!(!run.printed.contains("Model metadata"), "{}", run.printed);
        run.assert_finished(&text);
    }
}
