use serde_json::{Value as Json, json};
use tower_responses_testing::{long_request, vllm};

use crate::through::Store;

/// A request and what the model says to it.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// How often it is asked. Figures do not depend on it, their noise does.
    pub(crate) count: usize,
    request: fn() -> Json,
    output: fn() -> Vec<Json>,
    /// What stands in a right answer, in the words of the client.
    right: &'static [&'static str],
    /// Whether the upstream gets the very bytes of the client, unless they are to be stored.
    pub(crate) passes: bool,
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    // A small request with one function, answered with a call of it.
    Scenario {
        name: "S1",
        count: 1000,
        request: || request(false, &[weather()]),
        output: || vec![vllm::function_call("get_weather", r#"{"city":"Paris"}"#)],
        right: &[r#""name":"get_weather""#],
        passes: true,
    },
    // A stream of 500 deltas and a call of a tool in a namespace.
    Scenario {
        name: "S2",
        count: 20,
        request: || request(true, &[namespace()]),
        output: || vec![text(500), vllm::function_call("mcp__fs__read", ARGUMENTS)],
        right: &[r#""namespace":"mcp__fs""#, r#""name":"read""#, "response.completed"],
        passes: false,
    },
    // What Codex sends late in a long conversation: 450 KB, 300 items of every kind, 25 tools.
    Scenario {
        name: "S3",
        count: 10,
        request: || long(true),
        output: || vec![text(20), patch(), vllm::function_call("mcp__ns0__more_01", ARGUMENTS)],
        right: &[r#""type":"custom_tool_call""#, r#""namespace":"mcp__ns0""#],
        passes: false,
    },
    // Nothing to translate: the same size in plain messages and functions, answered with an object.
    Scenario {
        name: "plain",
        count: 20,
        request: || long(false),
        output: || vec![text(20), vllm::function_call("tool_01", ARGUMENTS)],
        right: &[r#""name":"tool_01""#],
        passes: true,
    },
    // Nothing to translate: a stream of 500 deltas and a call of a function.
    Scenario {
        name: "plain-stream",
        count: 20,
        request: || request(true, &[weather()]),
        output: || vec![text(500), vllm::function_call("get_weather", ARGUMENTS)],
        right: &[r#""name":"get_weather""#, "response.completed"],
        passes: true,
    },
];

const ARGUMENTS: &str = r#"{"path":"/etc/hosts"}"#;
/// Characters of a delta.
pub(crate) const DELTA: usize = 8;

impl Scenario {
    pub(crate) fn request(&self, store: Store) -> Json {
        let mut request = (self.request)();
        request["store"] = (store != Store::None).into();
        request
    }

    /// The response of the model, whose server names the tools that it was sent.
    pub(crate) fn response(&self, request: &Json) -> Json {
        vllm::response(request["tools"].as_array().map_or(&[], Vec::as_slice), &(self.output)())
    }

    /// A wrong answer is never fast.
    pub(crate) fn check(&self, answer: &str, store: Store) {
        let start = &answer[..answer.len().min(2000)];
        for words in self.right {
            assert!(answer.contains(words), "{} has no {words}: {start}", self.name);
        }
        let stored = answer.contains(r#""store":true"#);
        assert_eq!(stored, store != Store::None, "{}: {start}", self.name);
    }
}

fn request(stream: bool, tools: &[Json]) -> Json {
    let content = json!([{"type": "input_text", "text": "What is the weather in Paris?"}]);
    json!({
        "model": "m", "stream": stream, "tools": tools,
        "input": [{"type": "message", "role": "user", "content": content}],
    })
}

fn long(all_kinds: bool) -> Json {
    let mut request = long_request(all_kinds);
    request["stream"] = false.into();
    request
}

fn function(name: &str, parameter: &str) -> Json {
    json!({
        "type": "function", "name": name, "description": "Does what it is for.", "strict": false,
        "parameters": {"type": "object", "required": [parameter], "additionalProperties": false,
            "properties": {parameter: {"type": "string", "description": "What it is about"}}},
    })
}

fn weather() -> Json {
    function("get_weather", "city")
}

fn namespace() -> Json {
    json!({"type": "namespace", "name": "mcp__fs", "description": "Files.", "tools": [function("read", "path")]})
}

fn text(deltas: usize) -> Json {
    vllm::message(&"abcdefgh".repeat(deltas * DELTA / 8))
}

fn patch() -> Json {
    let patch =
        "*** Begin Patch\n*** Update File: src/\"main\".rs\n@@\n-let x = 1;\n+let x = \"größer\";\n*** End Patch\n";
    vllm::function_call("apply_patch", &json!({"input": patch}).to_string())
}
