use serde_json::{Value as Json, json};

use crate::{
    EncryptedReasoning, HostedItems, Normalizer, Policy,
    spec::{function, merged, normalize, refused, try_with, with},
};

fn after(item: &Json) -> Vec<Json> {
    normalize(&json!({"input": [item], "tools": [function("plain")]})).input()
}

#[test]
fn plain_items_stay() {
    let rows = [
        json!({"role": "user", "content": "hi"}),
        json!({"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "x"}]}),
        json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x", "logprobs": null}]}),
        json!({"type": "function_call", "call_id": "c", "name": "plain", "arguments": "{}"}),
        json!({"type": "function_call_output", "call_id": "c", "output": "x"}),
        json!({"type": "reasoning", "summary": []}),
        json!({"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "x"}]}),
        json!({"type": "new_thing", "x": 1}),
        json!({"x": 1}),
        json!({"id": "x", "content": "y"}),
        json!("text"),
        json!(3),
    ];
    for item in rows {
        assert_eq!(after(&item), std::slice::from_ref(&item));
    }
}

#[test]
fn reasoning_loses_its_nulls_and_secrets() {
    let thought = json!([{"type": "reasoning_text", "text": "x"}]);
    let summary = json!([{"type": "summary_text", "text": "x"}]);
    let rows = [
        (
            json!({"summary": [], "content": thought, "encrypted_content": null}),
            Some(json!({"summary": [], "content": thought})),
        ),
        (json!({"summary": summary, "content": null, "encrypted_content": "s"}), Some(json!({"summary": summary}))),
        (json!({"content": thought}), Some(json!({"summary": [], "content": thought}))),
        (json!({"summary": null, "content": thought}), Some(json!({"summary": [], "content": thought}))),
        (json!({"summary": [], "content": null, "encrypted_content": "s"}), None),
        (json!({"summary": [], "encrypted_content": null}), None),
        (json!({"encrypted_content": "s"}), None),
    ];
    for (item, expected) in rows {
        let kind = json!({"type": "reasoning"});
        let expected: Vec<_> = expected.into_iter().map(|item| merged(item, kind.clone())).collect();
        assert_eq!(after(&merged(item.clone(), kind)), expected, "{item}");
    }
    let own = Normalizer::new().encrypted_reasoning(EncryptedReasoning::Pass);
    let secret = json!({"type": "reasoning", "summary": [], "encrypted_content": "s"});
    let bare = json!({"type": "reasoning", "summary": summary, "encrypted_content": null});
    let expected = json!({"type": "reasoning", "summary": summary});
    assert_eq!(with(&own, &json!({"input": [secret, bare]})).input(), [secret, expected]);
}

#[test]
fn messages_between_agents_come_from_the_user() {
    let item = json!({"type": "agent_message", "id": "amsg_1", "author": "/root", "recipient": "/root/sub", "content": [
        {"type": "input_text", "text": "Message Type: NEW_TASK\n"},
        {"type": "encrypted_content", "encrypted_content": "Count the files."},
    ]});
    let content = json!([{"type": "input_text", "text": "Message Type: NEW_TASK\n"}, {"type": "input_text", "text": "Count the files."}]);
    assert_eq!(after(&item), [json!({"type": "message", "role": "user", "content": content})]);
    let rows = [(json!({"content": "x"}), "x"), (json!({}), "")];
    for (item, content) in rows {
        let item = merged(item, json!({"type": "agent_message"}));
        assert_eq!(after(&item), [json!({"type": "message", "role": "user", "content": content})]);
    }
}

#[test]
fn a_compacted_history_is_told_where_it_can_be_read() {
    let message =
        |text: &str| json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]});
    let rows = [
        (json!({"encrypted_content": "The user asked for x."}), vec![message("The user asked for x.")]),
        (json!({"encrypted_content": "gAAAAABo_secret=="}), vec![]),
        (
            json!({"encrypted_content": "gAAAAABo_secret==", "summary": [{"text": "So far so good."}]}),
            vec![message("So far so good.")],
        ),
        (json!({}), vec![]),
    ];
    for kind in ["compaction", "compaction_summary", "context_compaction"] {
        for (item, expected) in &rows {
            assert_eq!(&after(&merged(item.clone(), json!({"type": kind, "id": "cmp_1"}))), expected, "{item}");
        }
    }
}

#[test]
fn what_servers_did_is_told_as_a_note() {
    let rows = [
        (
            json!({"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "a \"b\""}}),
            "[web_search_call]\naction: {\"query\":\"a \\\"b\\\"\",\"type\":\"search\"}",
        ),
        (
            json!({"type": "mcp_call", "server_label": "s", "name": "f", "arguments": "{\"a\":1}", "output": "line\nline", "error": null}),
            "[mcp_call]\narguments: {\"a\":1}\nname: f\noutput: line\nline\nserver_label: s",
        ),
        (
            json!({"type": "local_shell_call", "call_id": "c1", "action": {"type": "exec", "command": ["ls"]}}),
            "[local_shell_call]\naction: {\"command\":[\"ls\"],\"type\":\"exec\"}",
        ),
        (
            json!({"type": "local_shell_call_output", "call_id": "c1", "output": "a.txt"}),
            "[local_shell_call_output]\noutput: a.txt",
        ),
        (
            json!({"type": "image_generation_call", "result": "AAAA", "revised_prompt": "a cat"}),
            "[image_generation_call]\nresult: (not shown)\nrevised_prompt: a cat",
        ),
        (
            json!({"type": "code_interpreter_call", "code": "1+1", "outputs": []}),
            "[code_interpreter_call]\ncode: 1+1\noutputs: []",
        ),
        (json!({"type": "mcp_list_tools", "tools": []}), "[mcp_list_tools]\ntools: []"),
    ];
    for (item, text) in rows {
        let note = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]});
        assert_eq!(after(&item), [note], "{item}");
        let policy = |items| with(&Normalizer::new().hosted_items(items), &json!({"input": [item]})).input();
        assert_eq!(policy(HostedItems::Drop), [] as [Json; 0]);
        assert_eq!(policy(HostedItems::Pass), std::slice::from_ref(&item));
    }
}

#[test]
fn what_cannot_be_known_here_is_refused() {
    let user = json!({"role": "user", "content": "hi"});
    let rows = [
        (json!({"type": "item_reference", "id": "msg_1"}), "item_not_found", "'msg_1'"),
        (json!({"id": "msg_1"}), "item_not_found", "'msg_1'"),
        (json!({"type": "compaction_trigger"}), "unsupported_item", "'compaction_trigger'"),
    ];
    for (item, code, named) in rows {
        let error = refused(&json!({"input": [user, item, user]}));
        assert_eq!((&error["param"], &error["code"]), (&json!("input[1]"), &json!(code)), "{item}");
        assert!(error["message"].as_str().unwrap().contains(named), "{error}");
    }
}

#[test]
fn unknown_items_follow_the_policy() {
    let item = json!({"type": "ghost_snapshot", "x": 1});
    let request = json!({"input": [item]});
    let of = |policy| try_with(&Normalizer::new().unknown_items(policy), &request);
    assert_eq!(of(Policy::Pass).unwrap().input(), std::slice::from_ref(&item));
    assert_eq!(of(Policy::Drop).unwrap().input(), [] as [Json; 0]);
    let error = of(Policy::Reject).unwrap_err();
    assert!(error.status() == 400 && error.message().contains("'ghost_snapshot'"));
    let message = json!({"type": "message", "role": "user", "content": "hi"});
    let known = json!({"input": [message]});
    let kept = try_with(&Normalizer::new().unknown_items(Policy::Reject), &known).unwrap();
    assert_eq!(kept.input(), std::slice::from_ref(&message));
}
