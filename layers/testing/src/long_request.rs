use serde_json::{Value as Json, json};

/// So many bytes of text that looks like prose.
fn words(size: usize) -> String {
    let vocabulary = "the file function returns string path when error build test module crate server client handle";
    let mut text = String::with_capacity(size + 100);
    while text.len() < size {
        text.push_str(vocabulary);
        text.push(' ');
    }
    text.truncate(size);
    text
}

fn function(name: &str, size: usize) -> Json {
    let property = || json!({"type": "string", "description": words(60)});
    json!({
        "type": "function", "name": name, "description": words(size), "strict": false,
        "parameters": {"type": "object", "additionalProperties": false, "required": ["path"],
            "properties": {"path": property(), "cmd": property(), "timeout": property()}},
    })
}

fn tools(all_kinds: bool) -> Vec<Json> {
    let mut tools: Vec<_> = (0..20).map(|i| function(&format!("tool_{i:02}"), 900)).collect();
    let members =
        |from: usize| -> Vec<_> { (from..from + 10).map(|i| function(&format!("more_{i:02}"), 700)).collect() };
    if !all_kinds {
        tools.extend([members(0), members(10)].concat());
        return tools;
    }
    tools.extend((0..2).map(|i| {
        let (name, description) = (format!("mcp__ns{i}"), format!("Tools of {i}."));
        json!({"type": "namespace", "name": name, "description": description, "tools": members(0)})
    }));
    let format = json!({"type": "grammar", "syntax": "lark", "definition": words(900)});
    tools.push(json!({"type": "custom", "name": "apply_patch", "description": words(1500), "format": format}));
    let parameters = json!({"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]});
    let search =
        json!({"type": "tool_search", "execution": "client", "description": words(600), "parameters": parameters});
    tools.extend([search, json!({"type": "web_search", "external_web_access": false})]);
    tools
}

fn turn(turn: usize, all_kinds: bool) -> Vec<Json> {
    let call = format!("call_{turn}");
    let arguments = json!({"path": words(300)}).to_string();
    let output = json!({"type": "function_call_output", "call_id": call, "output": words(2400)});
    let calling =
        |name: String| json!({"type": "function_call", "name": name, "arguments": arguments.clone(), "call_id": call});
    let user =
        |size| json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": words(size)}]});
    match turn % 5 {
        2 if all_kinds => {
            let mut call = calling(format!("more_{:02}", turn % 10));
            call["namespace"] = format!("mcp__ns{}", turn % 2).into();
            vec![call, output]
        }
        3 if all_kinds => {
            let call = json!({"type": "custom_tool_call", "name": "apply_patch", "input": words(300), "call_id": call, "status": "completed"});
            let mut output = output;
            output["type"] = "custom_tool_call_output".into();
            vec![call, output]
        }
        4 if all_kinds => {
            let mut look = function("look", 600);
            look["defer_loading"] = true.into();
            let found = json!({"type": "namespace", "name": format!("mcp__found{turn}"), "description": "Found.", "tools": [look]});
            let searching = json!({"type": "tool_search_call", "call_id": call, "status": "completed", "execution": "client",
                "arguments": {"query": words(300)}});
            let output = json!({"type": "tool_search_output", "call_id": call, "status": "completed", "execution": "client", "tools": [found]});
            vec![searching, output, user(1700)]
        }
        0 => {
            let content = json!([{"type": "output_text", "text": words(900)}]);
            let thought = json!([{"type": "reasoning_text", "text": words(400)}]);
            vec![
                json!({"type": "reasoning", "summary": [], "content": thought}),
                json!({"type": "message", "role": "assistant", "content": content}),
                user(1500),
            ]
        }
        _ => vec![calling(format!("tool_{:02}", turn % 20)), output],
    }
}

/// What a coding client sends late in a conversation: 450 KB, 300 items, 25 tools of which 43
/// functions can be called. `all_kinds` are those that Codex 0.169 sends; else all are functions.
pub fn long_request(all_kinds: bool) -> Json {
    let mut input = vec![json!({"type": "message", "role": "developer", "content": words(20_000)})];
    input.extend((1..125).flat_map(|number| turn(number, all_kinds)));
    for (number, item) in input.iter_mut().enumerate() {
        item["id"] = format!("item_{number:024}").into();
    }
    json!({
        "model": "m", "stream": true, "input": input, "tools": tools(all_kinds), "tool_choice": "auto",
        "parallel_tool_calls": true, "reasoning": {"effort": "medium"}, "store": false,
        "include": ["reasoning.encrypted_content"], "prompt_cache_key": "6f1c",
    })
}
