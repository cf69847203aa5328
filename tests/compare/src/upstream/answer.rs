use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    request::Asked,
    script::{Call, Script},
};

/// One answer: what is said, and the members of the response object around it.
#[derive(Debug)]
pub struct Answer {
    script: Arc<Script>,
    /// Hexadecimal, different for each answer.
    number: String,
    /// Names of the called functions.
    names: Vec<String>,
    /// The response object before and after its status, output and usage.
    before_output: String,
    after_output: String,
    after_status: String,
    after_usage: String,
}

const USAGE: &str = concat!(
    r#"{"input_tokens":171,"input_tokens_details":{"cached_tokens":128,"cache_write_tokens":0,"input_tokens_per_turn":[],"#,
    r#""cached_tokens_per_turn":[]},"output_tokens":39,"output_tokens_details":{"reasoning_tokens":0,"tool_output_tokens":0,"#,
    r#""output_tokens_per_turn":[],"tool_output_tokens_per_turn":[]},"total_tokens":210}"#
);

impl Answer {
    pub fn new(script: &Arc<Script>, asked: &Asked, number: u64) -> Self {
        let number = format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let member = |key, otherwise| asked.member(key, otherwise);
        let choice = if asked.has_tools() { member("tool_choice", "\"auto\"") } else { "\"none\"" };
        Self {
            names: script.calls.iter().map(|call| asked.function(&call.name).to_owned()).collect(),
            before_output: format!(
                r#"{{"id":"resp_{number}","created_at":1795261662,"incomplete_details":null,"instructions":{},"metadata":{},"model":{},"object":"response","output":"#,
                member("instructions", "null"),
                member("metadata", "null"),
                member("model", "\"scripted\""),
            ),
            after_output: format!(
                r#","parallel_tool_calls":{},"temperature":{},"tool_choice":{choice},"tools":{},"top_p":{},"background":false,"max_output_tokens":{},"max_tool_calls":{},"previous_response_id":null,"prompt":null,"reasoning":{},"service_tier":{},"status":"#,
                member("parallel_tool_calls", "true"),
                member("temperature", "1.0"),
                asked.tools,
                member("top_p", "1.0"),
                member("max_output_tokens", "65525"),
                member("max_tool_calls", "null"),
                member("reasoning", "null"),
                member("service_tier", "\"auto\""),
            ),
            after_status: format!(
                r#","text":{},"top_logprobs":null,"truncation":{},"usage":"#,
                member("text", "null"),
                member("truncation", "\"disabled\""),
            ),
            after_usage: format!(
                r#","user":{},"presence_penalty":0.0,"frequency_penalty":0.0,"kv_transfer_params":null,"ec_transfer_params":null,"input_messages":null,"output_messages":null}}"#,
                member("user", "null"),
            ),
            script: script.clone(),
            number,
        }
    }

    fn object(&self, output: &str, status: &str, usage: &str) -> String {
        let Self { before_output, after_output, after_status, after_usage, .. } = self;
        format!(r#"{before_output}{output}{after_output}"{status}"{after_status}{usage}{after_usage}"#)
    }

    pub fn started(&self) -> String {
        self.object("[]", "in_progress", "null")
    }

    pub fn finished(&self) -> String {
        let items: Vec<_> = (0..self.items()).map(|index| self.item(index, true)).collect();
        self.object(&format!("[{}]", items.join(",")), "completed", USAGE)
    }

    pub fn items(&self) -> usize {
        usize::from(self.has_text()) + self.script.calls.len()
    }

    fn has_text(&self) -> bool {
        self.script.deltas > 0
    }

    /// The call at this place of the output, if it is one.
    pub fn call(&self, index: usize) -> Option<(&Call, &str)> {
        let at = index.checked_sub(usize::from(self.has_text()))?;
        Some((self.script.calls.get(at)?, self.names.get(at)?))
    }

    pub fn id(&self, index: usize) -> String {
        let kind = if self.call(index).is_some() { "fc" } else { "msg" };
        format!("{kind}_{}{index}", self.number)
    }

    pub fn deltas(&self) -> usize {
        self.script.deltas
    }

    pub fn delta(&self) -> &str {
        &self.script.delta
    }

    pub fn text(&self) -> String {
        self.script.delta.repeat(self.script.deltas)
    }

    /// An item of the output: as it begins, or whole.
    pub fn item(&self, index: usize, whole: bool) -> String {
        let (id, status) = (self.id(index), if whole { "completed" } else { "in_progress" });
        if let Some((call, name)) = self.call(index) {
            let arguments = Value::from(if whole { &*call.arguments } else { "" });
            return format!(
                r#"{{"arguments":{arguments},"call_id":"chatcmpl-tool-{}{index}","name":{},"type":"function_call","id":"{id}","async":null,"caller":null,"namespace":null,"status":"{status}"}}"#,
                self.number,
                Value::from(name),
            );
        }
        let content = if whole { format!("[{}]", text_part(&self.text(), "null")) } else { "[]".into() };
        format!(
            r#"{{"id":"{id}","content":{content},"role":"assistant","status":"{status}","type":"message","phase":null}}"#
        )
    }
}

pub fn text_part(text: &str, logprobs: &str) -> String {
    format!(r#"{{"annotations":[],"text":{},"type":"output_text","logprobs":{logprobs}}}"#, json!(text))
}
