use std::{fs, path::PathBuf};

use serde_json::Value;
use tower_responses::demo::Exchange;

/// What a run of Codex left behind.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) folder: PathBuf,
    pub(crate) cwd: PathBuf,
    pub(crate) printed: String,
    pub(crate) succeeded: bool,
    pub(crate) last_message: String,
    /// What the upstream saw.
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) turns: usize,
    pub(crate) served: String,
}

impl Run {
    /// Codex came to the end of the script, and the upstream understood everything on the way.
    pub(crate) fn assert_finished(&self, last_message: &str) {
        let refused: Vec<_> = self.exchanges.iter().filter_map(|exchange| exchange.refused.as_ref()).collect();
        assert!(refused.is_empty(), "the upstream refused: {refused:?}");
        assert!(self.succeeded, "Codex failed:\n{}", self.printed);
        assert_eq!(self.last_message.trim(), last_message, "\n{}", self.printed);
        assert_eq!(self.exchanges.len(), self.turns, "requests that reached the upstream");
        for request in self.requests() {
            assert_eq!(request["model"], self.served);
        }
        self.assert_history_is_declared();
        self.assert_prefix_is_stable();
    }

    pub(crate) fn requests(&self) -> impl Iterator<Item = &Value> {
        self.exchanges.iter().map(|exchange| &exchange.request)
    }

    /// The names of the functions that a request (the first is 0) declares.
    pub(crate) fn declared(&self, request: usize) -> Vec<&str> {
        tools(&self.exchanges[request].request).iter().filter_map(|tool| tool["name"].as_str()).collect()
    }

    /// What Codex sent back for the call number `call` of the answer number `turn`, as text.
    pub(crate) fn output(&self, turn: usize, call: usize) -> String {
        let calls = self.exchanges[turn].items.iter().filter(|item| item["type"] == "function_call");
        let calls: Vec<_> = calls.map(|item| &item["call_id"]).collect();
        let Some((id, next)) = calls.get(call).zip(self.exchanges.get(turn + 1)) else {
            panic!("answer {turn} has {} calls; the upstream was asked {} times", calls.len(), self.exchanges.len());
        };
        let next = &next.request;
        let output = |item: &&Value| item["type"] == "function_call_output" && item["call_id"] == **id;
        let outputs: Vec<_> = items(next).iter().filter(output).collect();
        assert_eq!(outputs.len(), 1, "outputs of call {call} of answer {turn}");
        match &outputs[0]["output"] {
            Value::String(text) => text.clone(),
            parts => parts.as_array().into_iter().flatten().filter_map(|part| part["text"].as_str()).collect(),
        }
    }

    pub(crate) fn assert_output(&self, turn: usize, call: usize, text: &str) {
        let output = self.output(turn, call);
        assert!(output.contains(text), "{output:?} does not contain {text:?}");
    }

    pub(crate) fn assert_printed(&self, text: &str) {
        assert!(self.printed.contains(text), "Codex did not print {text:?}:\n{}", self.printed);
    }

    pub(crate) fn assert_file(&self, name: &str, content: &str) {
        let path = self.cwd.join(name);
        let found = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}\n{}", self.printed));
        assert_eq!(found, content, "{name}");
    }

    /// A call in the history has the name of a function that the same request declares.
    fn assert_history_is_declared(&self) {
        for (number, request) in self.requests().enumerate() {
            for call in items(request).iter().filter(|item| item["type"] == "function_call") {
                let declared = tools(request).iter().any(|tool| tool["name"] == call["name"]);
                assert!(declared, "request {number} calls {}, which it does not declare", call["name"]);
            }
        }
    }

    /// Each request begins as the one before it did: the upstream's prefix cache lives from that.
    fn assert_prefix_is_stable(&self) {
        let requests: Vec<_> = self.requests().collect();
        for pair in requests.windows(2) {
            assert!(tools(pair[1]).starts_with(tools(pair[0])), "the tools changed");
            let without_ids = |request: &Value| -> Vec<Value> {
                let mut items = items(request).to_vec();
                for item in items.iter_mut().filter_map(Value::as_object_mut) {
                    item.retain(|name, _| name != "id" && name != "status");
                }
                items
            };
            assert!(without_ids(pair[1]).starts_with(&without_ids(pair[0])), "the history changed");
        }
    }
}

impl Drop for Run {
    /// What a failed run left is kept, to be looked at.
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("left in {}", self.folder.display());
        } else {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

fn tools(request: &Value) -> &[Value] {
    request["tools"].as_array().map(Vec::as_slice).unwrap_or_default()
}

fn items(request: &Value) -> &[Value] {
    request["input"].as_array().map(Vec::as_slice).unwrap_or_default()
}
