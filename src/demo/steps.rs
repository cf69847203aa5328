use std::{
    fmt,
    io::{self, Write},
};

use serde_json::{Value, json};

use super::{
    Exchange, Model, Upstream,
    client::{Answer, Client},
    report::{self, Report},
};

/// What Codex may write into a patch, in short.
const GRAMMAR: &str =
    "start: \"*** Begin Patch\\n\" hunk+ \"*** End Patch\" \"\\n\"?\nhunk: /\\*\\*\\* Add File: .+\\n(\\+.*\\n)+/\n";
const PATCH: &str = "*** Begin Patch\n*** Add File: hello.txt\n+\"Hello\", said the gateway.\n*** End Patch\n";

/// Sends three requests through the gateway at `base_url`, whose upstream is `upstream`, and
/// writes down what each side sent, saw and got.
///
/// # Errors
/// If something of that is not as it should be.
pub async fn run(base_url: &str, upstream: &Upstream, out: impl Write) -> Result<(), DemoError> {
    let mut report = Report::new(out);
    report.line(
        "client",
        format!("→ gateway {base_url} → {} (understands only functions, keeps nothing)", upstream.url()),
    )?;
    let mut demo = Demo { client: Client::new(base_url), upstream, report };
    demo.namespace().await.map_err(|error| error.during("the call of a tool in a namespace"))?;
    let answer = demo.custom().await.map_err(|error| error.during("the call of a custom tool"))?;
    demo.continued(&answer).await.map_err(|error| error.during("the continued conversation"))?;
    demo.report.end()?;
    Ok(())
}

/// What went wrong in the demo.
#[derive(Debug)]
pub struct DemoError(String);

impl DemoError {
    pub(super) fn new(what: impl fmt::Display) -> Self {
        Self(what.to_string())
    }

    fn during(self, step: &str) -> Self {
        Self(format!("{step}: {}", self.0))
    }
}

impl fmt::Display for DemoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for DemoError {}

impl From<io::Error> for DemoError {
    fn from(error: io::Error) -> Self {
        Self::new(error)
    }
}

struct Demo<'a, W> {
    client: Client,
    upstream: &'a Upstream,
    report: Report<W>,
}

impl<W: Write> Demo<'_, W> {
    async fn namespace(&mut self) -> Result<(), DemoError> {
        self.report.title("A tool in a namespace, as Codex declares MCP servers")?;
        let parameters = json!({"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]});
        let request = json!({
            "model": Model::NAME,
            "tools": [{"type": "namespace", "name": "mcp__github", "description": "Issues of a repository.", "tools": [
                {"type": "function", "name": "create_issue", "description": "Opens an issue.", "parameters": parameters},
            ]}],
            "input": "Call create_issue with {\"title\": \"It works\"}",
        });
        let (answer, seen) = self.exchange(&request).await?;
        let call = only_item(&answer)?;
        check("its name", &call["name"], &json!("create_issue"))?;
        check("its namespace", &call["namespace"], &json!("mcp__github"))?;
        check("its arguments", &call["arguments"], &json!("{\"title\":\"It works\"}"))?;
        only_functions(&seen)
    }

    async fn custom(&mut self) -> Result<Answer, DemoError> {
        self.report.title("A custom tool with a grammar, streamed, as Codex declares apply_patch")?;
        let request = json!({
            "model": Model::NAME,
            "stream": true,
            "tools": [{"type": "custom", "name": "apply_patch", "description": "Edits files.",
                "format": {"type": "grammar", "syntax": "lark", "definition": GRAMMAR}}],
            "input": format!("Use apply_patch with this:\n{PATCH}"),
        });
        let (answer, seen) = self.exchange(&request).await?;
        let call = only_item(&answer)?;
        check("its type", &call["type"], &json!("custom_tool_call"))?;
        check("its input", &call["input"], &json!(PATCH))?;
        let deltas = answer.events.iter().filter(|event| event["type"] == "response.custom_tool_call_input.delta");
        let deltas: Vec<_> = deltas.filter_map(|event| event["delta"].as_str()).collect();
        check("its deltas", &json!(deltas.concat()), &json!(PATCH))?;
        self.report.line("", format!("(streamed in {} deltas of plain text)", deltas.len()))?;
        only_functions(&seen)?;
        Ok(answer)
    }

    async fn continued(&mut self, before: &Answer) -> Result<(), DemoError> {
        self.report.title("The conversation goes on: the client sends only what is new")?;
        let call_id = &only_item(before)?["call_id"];
        let request = json!({
            "model": Model::NAME,
            "previous_response_id": before.response["id"],
            "tools": before.response["tools"],
            "input": [{"type": "custom_tool_call_output", "call_id": call_id, "output": "Success: hello.txt added"}],
        });
        let (answer, seen) = self.exchange(&request).await?;
        let kinds: Vec<_> = seen.request["input"].as_array().into_iter().flatten().map(kind).collect();
        check("what the upstream saw", &json!(kinds), &json!(["message", "function_call", "function_call_output"]))?;
        let said = &only_item(&answer)?["content"][0]["text"];
        check("the answer", said, &json!("The tool said: Success: hello.txt added"))
    }

    /// Asks, and says who sent, saw and got what.
    async fn exchange(&mut self, request: &Value) -> Result<(Answer, Exchange), DemoError> {
        let before = self.upstream.seen().len();
        self.report.request("client sent", request)?;
        let answer = self.client.ask(request).await;
        let Some(seen) = self.upstream.seen().into_iter().nth(before) else {
            return Err(answer.err().unwrap_or_else(|| DemoError::new("the upstream saw nothing")));
        };
        self.report.request("upstream saw", &seen.request)?;
        seen.items.iter().try_for_each(|item| self.report.line("upstream said", report::item(item)))?;
        let answer = answer?;
        self.report.line("client got", report::item(only_item(&answer)?))?;
        Ok((answer, seen))
    }
}

fn kind(item: &Value) -> &str {
    item["type"].as_str().unwrap_or("message")
}

fn only_item(answer: &Answer) -> Result<&Value, DemoError> {
    match answer.response["output"].as_array().map(Vec::as_slice) {
        Some([item]) => Ok(item),
        _ => Err(DemoError::new(format!("one item was expected, not {}", answer.response["output"]))),
    }
}

fn only_functions(seen: &Exchange) -> Result<(), DemoError> {
    let kinds: Vec<_> = seen.request["tools"].as_array().into_iter().flatten().map(|tool| &tool["type"]).collect();
    check("the tools of the upstream", &json!(kinds), &json!(["function"]))
}

fn check(what: &str, got: &Value, expected: &Value) -> Result<(), DemoError> {
    if got == expected {
        return Ok(());
    }
    Err(DemoError::new(format!("{what}: {got} instead of {expected}")))
}
