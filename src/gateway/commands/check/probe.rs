//! The questions.

use std::fmt::Write;

use serde_json::{Value, json};

use super::{
    refusal::Refusal,
    report::{Report, State},
    stream::Shape,
};
use crate::{
    BoxError,
    gateway::commands::http::{Answer, Server, shorten},
    model_catalog::UpstreamModels,
};

/// Few tokens: only the shape of an answer is of interest.
const TOKENS: u32 = 32;

/// How many of the listed models are named.
const SHOWN: usize = 5;

/// Asks everything, in order; without a reachable server or without responses there is nothing
/// more to ask.
pub(super) async fn all(server: &Server, model: Option<String>) -> Result<Report, BoxError> {
    let mut probe = Probe { server, listed: Vec::new(), report: Report::new(server.url()) };
    if !probe.models(model).await? {
        return Ok(probe.report);
    }
    if let Some(id) = probe.responses().await? {
        probe.messages().await?;
        probe.tools().await?;
        probe.call().await?;
        probe.previous(&id).await?;
        probe.stream().await?;
    }
    Ok(probe.report)
}

struct Probe<'a> {
    server: &'a Server,
    /// The models that it lists.
    listed: Vec<String>,
    report: Report,
}

/// Kinds of tools that clients declare, each as small as it can be.
fn tool_kinds() -> Vec<(&'static str, Value)> {
    let function = json!({"type": "function", "name": "probe_echo", "description": "Echoes.", "parameters": schema()});
    let mut strict = function.clone();
    strict["strict"] = json!(true);
    let grammar = json!({"type": "grammar", "syntax": "lark", "definition": "start: /[a-z]+/"});
    let search = json!({"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]});
    vec![
        ("function tools", function.clone()),
        ("strict function tools", strict),
        (
            "namespaces",
            json!({"type": "namespace", "name": "mcp__probe", "description": "A probe.", "tools": [function]}),
        ),
        ("custom tools", json!({"type": "custom", "name": "probe_note", "description": "Notes."})),
        (
            "custom with a grammar",
            json!({"type": "custom", "name": "probe_note", "description": "Notes.", "format": grammar}),
        ),
        (
            "tool_search",
            json!({"type": "tool_search", "execution": "client", "description": "Finds.", "parameters": search}),
        ),
    ]
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"], "additionalProperties": false})
}

impl Probe<'_> {
    fn body(&self, more: Value) -> Value {
        let mut body = json!({"input": "Reply with the word ok.", "max_output_tokens": TOKENS, "store": false});
        if let Some(model) = &self.report.model {
            body["model"] = json!(model);
        }
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        body
    }

    async fn ask(&self, more: Value) -> Result<Answer, BoxError> {
        self.server.post("/v1/responses", &self.body(more)).await
    }

    /// Whether there is somebody to ask.
    async fn models(&mut self, model: Option<String>) -> Result<bool, BoxError> {
        let answer = self.server.get("/v1/models").await?;
        if answer.unanswered.is_some() {
            self.report.reachable = false;
            let why = answer.reason();
            let hint = if why.contains("certificate") { "trusts whom --upstream-ca-file names" } else { "" };
            self.report.add("reachable", State::Broken, why, hint);
            return Ok(false);
        }
        let found = format!("HTTP {} in {} ms", answer.status.as_u16(), answer.took.as_millis());
        self.report.add("reachable", State::Yes, found, "");
        let refusal = (!answer.status.is_success()).then(|| Refusal::of(&answer, None));
        if let Some(refusal @ (Refusal::Key | Refusal::Moved)) = refusal {
            self.refused("model list", &answer, refusal);
            return Ok(false);
        }
        let list = if answer.status.is_success() { UpstreamModels::parse(answer.body.clone()).ok() } else { None };
        let readable = list.is_some();
        let list = list.unwrap_or_default();
        self.listed = list.ids().map(str::to_owned).collect();
        self.list(&answer, readable, model.as_deref());
        self.report.model = model.or_else(|| self.listed.first().cloned());
        let window = self.report.model.as_deref().and_then(|model| list.hints(model)?.context_window);
        self.report.context_length = window;
        let (state, found, gateway) = match window {
            Some(tokens) => (State::Yes, format!("{tokens} tokens"), "tells Codex, which compacts in time"),
            None => (State::No, "not said".to_owned(), "tells Codex what models.NAME.context_window says"),
        };
        self.report.add("context length", state, found, gateway);
        Ok(true)
    }

    fn list(&mut self, answer: &Answer, readable: bool, model: Option<&str>) {
        let (mut found, gateway) = match self.listed.as_slice() {
            [] if readable => ("it names no models".to_owned(), "serves one of aliases and settings"),
            [] => (answer.reason(), "serves one of aliases and settings"),
            [one] => (one.clone(), "serves it to OpenAI clients and Codex"),
            [first, rest @ ..] => (format!("{first} and {} more", rest.len()), "serves it to OpenAI clients and Codex"),
        };
        if let Some(model) = model.filter(|model| !self.listed.is_empty() && !self.listed.iter().any(|id| id == model))
        {
            let _ = write!(found, ", not {model}");
        }
        let state = if self.listed.is_empty() { State::No } else { State::Yes };
        self.report.add("model list", state, found, gateway);
    }

    /// A row for what is in the way of everything else.
    fn refused(&mut self, row: &'static str, answer: &Answer, refusal: Refusal) {
        let mut hint = refusal.hint(self.server.has_key()).to_owned();
        if refusal == Refusal::Model && !self.listed.is_empty() {
            let more = if self.listed.len() > SHOWN { ", …" } else { "" };
            let _ = write!(hint, ": {}{more}", self.listed[..self.listed.len().min(SHOWN)].join(", "));
        }
        self.report.stopped = refusal.stops();
        self.report.add(row, State::Broken, answer.reason(), hint);
    }

    /// The id of a response, if there is such a thing.
    async fn responses(&mut self) -> Result<Option<String>, BoxError> {
        let answer = self.ask(json!({})).await?;
        let body = answer.json().unwrap_or_default();
        if answer.status.is_success() && body.get("output").is_some_and(Value::is_array) {
            let status = body.get("status").and_then(Value::as_str).unwrap_or("no status");
            self.report.add("responses", State::Yes, format!("{status} in {} ms", answer.took.as_millis()), "");
            return Ok(Some(body.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()));
        }
        match Refusal::of(&answer, self.report.model.as_deref()) {
            Refusal::Route => {
                let found = match self.has_chat().await? {
                    true => "only Chat Completions: there is no /v1/responses".to_owned(),
                    false => format!("there is no /v1/responses: {}", answer.reason()),
                };
                let gateway = "needs /v1/responses: a newer server, or LiteLLM between";
                self.report.add("responses", State::Broken, found, gateway);
            }
            Refusal::Model => self.refused("model", &answer, Refusal::Model),
            Refusal::Other if answer.status.is_success() => {
                let found = shorten(&format!("no response object: {}", String::from_utf8_lossy(&answer.body)), 100);
                self.report.add("responses", State::Broken, found, "");
            }
            refusal => self.refused("responses", &answer, refusal),
        }
        Ok(None)
    }

    /// Whether there is `/v1/chat/completions`, also where it does not like this question.
    async fn has_chat(&self) -> Result<bool, BoxError> {
        let mut body =
            json!({"messages": [{"role": "user", "content": "Reply with the word ok."}], "max_tokens": TOKENS});
        let model = self.report.model.as_deref();
        if let Some(model) = model {
            body["model"] = json!(model);
        }
        let answer = self.server.post("/v1/chat/completions", &body).await?;
        if answer.status.is_success() {
            return Ok(answer.json().is_some_and(|body| body.get("choices").is_some()));
        }
        let refusal = Refusal::of(&answer, model);
        Ok(refusal == Refusal::Model || refusal == Refusal::Other && answer.status.is_client_error())
    }

    async fn messages(&mut self) -> Result<(), BoxError> {
        let input = json!([
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Reply with the word ok."}]},
        ]);
        let answer = self.ask(json!({"input": input})).await?;
        if answer.status.is_success() {
            self.report.add("developer messages", State::Yes, "accepted", "");
        } else {
            // Every request of Codex begins with one.
            self.report.add(
                "developer messages",
                State::Broken,
                answer.reason(),
                "passes them unless they are folded (fix fold_instructions)",
            );
        }
        Ok(())
    }

    async fn tools(&mut self) -> Result<(), BoxError> {
        for (name, tool) in tool_kinds() {
            let answer = self.ask(json!({"tools": [tool], "tool_choice": "auto"})).await?;
            let plain = name == "function tools";
            let gateway = match name {
                "function tools" => "passes them untouched",
                "strict function tools" => "passes `strict` as it was declared",
                _ => "makes functions of them, gives calls back as declared",
            };
            let (state, found) = match answer.status.is_success() {
                true if name.ends_with("function tools") => (State::Yes, "accepted".to_owned()),
                // Some servers accept what the model then never gets to see.
                true => (State::Yes, "accepted (the model may still not see them)".to_owned()),
                false if plain => (State::Broken, answer.reason()),
                false => (State::No, answer.reason()),
            };
            let gateway = if state == State::Broken {
                "needs them: does the server run with a tool call parser?"
            } else {
                gateway
            };
            self.report.add(name, state, found, gateway);
        }
        Ok(())
    }

    /// Whether a call comes back as one: as much as can be seen of the server's tool parser.
    async fn call(&mut self) -> Result<(), BoxError> {
        let tool = json!({"type": "function", "name": "probe_echo", "description": "Echoes.", "parameters": schema()});
        let choice = json!({"type": "function", "name": "probe_echo"});
        let input = "Call probe_echo with the text ok.";
        let answer =
            self.ask(json!({"input": input, "tools": [tool], "tool_choice": choice, "max_output_tokens": 128})).await?;
        let body = answer.json().unwrap_or_default();
        let items = body.get("output").and_then(Value::as_array).cloned().unwrap_or_default();
        let call = items.iter().find(|item| item.get("type").and_then(Value::as_str) == Some("function_call"));
        let name = call.and_then(|call| call.get("name")?.as_str());
        let (state, found) = match (answer.status.is_success(), name) {
            (true, Some("probe_echo")) => (State::Yes, "a forced call comes back as function_call".to_owned()),
            (true, Some(other)) => (State::No, format!("the call comes back as `{}`", shorten(other, 40))),
            (true, None) => (State::Unknown, "a forced call did not come".to_owned()),
            (false, _) => (State::No, answer.reason()),
        };
        let gateway = if state == State::Yes { "" } else { "needs a tool call parser at the server" };
        self.report.add("calls", state, found, gateway);
        Ok(())
    }

    async fn previous(&mut self, id: &str) -> Result<(), BoxError> {
        let gateway = "keeps responses itself, sends the whole history";
        let unknown = self.ask(json!({"previous_response_id": "resp_00000000000000000000000000000000"})).await?;
        if unknown.status.is_success() {
            self.report.add("previous_response_id", State::No, "ignored, also an id that was never given", gateway);
            return Ok(());
        }
        let mut state = (State::No, unknown.reason());
        if !id.is_empty() {
            let first = self.ask(json!({"store": true})).await?.json().unwrap_or_default();
            let id = first.get("id").and_then(Value::as_str).unwrap_or(id).to_owned();
            let known = self.ask(json!({"previous_response_id": id})).await?;
            if known.status.is_success() {
                state = (State::Yes, "known".to_owned());
            }
        }
        self.report.add("previous_response_id", state.0, state.1, gateway);
        Ok(())
    }

    async fn stream(&mut self) -> Result<(), BoxError> {
        let answer = self.ask(json!({"stream": true})).await?;
        if answer.status.is_success() {
            Shape::of(&answer.body).report(&answer, &mut self.report);
        } else {
            self.report.add("streaming", State::Broken, answer.reason(), "");
        }
        Ok(())
    }
}
