//! Every kind of tool that Codex declares.

use serde_json::json;
use tower_responses::demo::{Item, Turn};

use crate::{
    codex::Codex,
    words::{number, word},
};

fn end(text: &str) -> Turn {
    Turn::new([Item::say(text)])
}

fn add_file(name: &str, line: &str) -> String {
    format!("*** Begin Patch\n*** Add File: {name}\n+{line}\n*** End Patch\n")
}

#[tokio::test]
async fn a_shell_command_runs_and_reasoning_comes_back() {
    let (marker, number, thought) = (word(), number(), word());
    let command = format!("echo {marker}-$(({number}*2)); exit 3");
    let call = Item::call(&["exec_command"], json!({"cmd": command}));
    let turns = [Turn::new([Item::think(&thought), call]), end(&marker)];
    let Some(run) = Codex::new().run(turns).await else { return };
    run.assert_output(0, 0, &format!("{marker}-{}", number * 2));
    run.assert_output(0, 0, "exited with code 3");
    assert!(run.exchanges[1].request.to_string().contains(&thought));
    run.assert_finished(&marker);
}

#[tokio::test]
async fn tools_of_two_mcp_servers_are_called_at_once() {
    let (first, second, tool, other, text) = (word(), word(), word(), word(), word());
    // Both servers have a tool of the same name.
    let calls = [
        Item::call(&[&first, &tool], json!({"text": text})),
        Item::call(&["exec_command"], json!({"cmd": format!("echo {text}")})),
        Item::call(&[&second, &other], json!({"text": text})),
        Item::call(&[&second, &tool], json!({"text": "\"quoted\" \\ Grüße"})),
    ];
    let codex = Codex::new().server(&first, &[&tool]).server(&second, &[&tool, &other]);
    let Some(run) = codex.run([Turn::new(calls), end(&text)]).await else { return };
    run.assert_output(0, 0, &format!("{tool} heard: {text}"));
    run.assert_output(0, 1, &text);
    run.assert_output(0, 2, &format!("{other} heard: {text}"));
    run.assert_output(0, 3, &format!("{tool} heard: \"quoted\" \\ Grüße"));
    run.assert_finished(&text);
}

#[tokio::test]
async fn the_custom_tool_apply_patch_writes_and_changes_a_file() {
    let (name, first, second, done) = (format!("{}.txt", word()), word(), word(), word());
    let line = format!("\"{first}\"\t\\n {{}} 世界 \u{1f600}");
    let update = format!("*** Begin Patch\n*** Update File: {name}\n@@\n-{line}\n+{second}\n*** End Patch\n");
    let turns = [
        Turn::new([Item::say("I write it."), Item::call_with_text(&["apply_patch"], add_file(&name, &line))]),
        Turn::new([Item::call(&["exec_command"], json!({"cmd": format!("cp {name} before")}))]),
        Turn::new([Item::call_with_text(&["apply_patch"], update)]),
        end(&done),
    ];
    let Some(run) = Codex::new().knows(json!({"apply_patch_tool_type": "freeform"})).run(turns).await else { return };
    run.assert_output(0, 0, "Success");
    run.assert_output(2, 0, "Success");
    run.assert_file("before", &format!("{line}\n"));
    run.assert_file(&name, &format!("{second}\n"));
    run.assert_finished(&done);
}

#[tokio::test]
async fn a_tool_that_a_search_found_can_be_called() {
    let (server, tool, other, text, again) = (word(), word(), word(), word(), word());
    let turns = [
        Turn::new([Item::call(&["tool_search"], json!({"query": tool, "limit": 1}))]),
        Turn::new([Item::call(&[&server, &tool], json!({"text": text}))]),
        Turn::new([Item::call(&[&server, &tool], json!({"text": again}))]),
        end(&text),
    ];
    let codex = Codex::new().knows(json!({"supports_search_tool": true})).server(&server, &[&other, &tool]);
    let Some(run) = codex.run(turns).await else { return };
    let known = |request: usize| run.declared(request).iter().any(|name| name.contains(tool.as_str()));
    assert_eq!([0, 1, 2, 3].map(known), [false, true, true, true]);
    run.assert_output(0, 0, &tool);
    run.assert_output(1, 0, &format!("{tool} heard: {text}"));
    run.assert_output(2, 0, &format!("{tool} heard: {again}"));
    run.assert_finished(&text);
}

#[tokio::test]
async fn a_lite_request_brings_its_tools_as_an_item() {
    let (server, tool, name, text) = (word(), word(), format!("{}.txt", word()), word());
    let turns = [
        Turn::new([Item::call(&["exec_command"], json!({"cmd": format!("echo {text}")}))]),
        Turn::new([Item::call_with_text(&["apply_patch"], add_file(&name, &text))]),
        Turn::new([Item::call(&[&server, &tool], json!({"text": text}))]),
        end(&text),
    ];
    let codex = Codex::new()
        .knows(json!({"apply_patch_tool_type": "freeform", "use_responses_lite": true}))
        .server(&server, &[&tool]);
    let Some(run) = codex.run(turns).await else { return };
    run.assert_output(0, 0, &text);
    run.assert_output(1, 0, "Success");
    run.assert_output(2, 0, &format!("{tool} heard: {text}"));
    run.assert_file(&name, &format!("{text}\n"));
    run.assert_finished(&text);
}

#[tokio::test]
async fn an_alias_stands_for_the_model() {
    let (server, tool, text) = (word(), word(), word());
    let turns = [Turn::new([Item::call(&[&server, &tool], json!({"text": text}))]), end(&text)];
    let Some(run) = Codex::new().alias().server(&server, &[&tool]).run(turns).await else { return };
    run.assert_output(0, 0, &format!("{tool} heard: {text}"));
    assert!(!run.printed.contains("rerouted"), "{}", run.printed);
    run.assert_finished(&text);
}

#[tokio::test]
async fn web_search_is_left_out_and_the_rest_goes_on() {
    let text = word();
    let turns = [Turn::new([Item::call(&["exec_command"], json!({"cmd": format!("echo {text}")}))]), end(&text)];
    let codex = Codex::new().knows(json!({"web_search_tool_type": "text_and_image"})).config("web_search = \"live\"");
    let Some(run) = codex.run(turns).await else { return };
    assert!(!run.declared(0).contains(&"web_search"));
    run.assert_output(0, 0, &text);
    run.assert_finished(&text);
}

#[tokio::test]
async fn without_the_gateway_the_upstream_refuses_codex() {
    let turns = || [end("never")];
    let rows = [
        (Codex::new(), "namespace"),
        (Codex::new().config("features.multi_agent = false"), "web_search"),
        (Codex::new().knows(json!({"apply_patch_tool_type": "freeform", "multi_agent_version": "disabled"})), "custom"),
        (Codex::new().knows(json!({"use_responses_lite": true})), "additional_tools"),
    ];
    for (codex, what) in rows {
        let Some(run) = codex.without_gateway().run(turns()).await else { return };
        assert!(!run.succeeded);
        let refused = run.exchanges[0].refused.as_deref().unwrap_or_default();
        assert!(refused.contains(what), "{refused}");
    }
}
