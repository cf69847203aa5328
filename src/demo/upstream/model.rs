use std::{collections::VecDeque, sync::Mutex, time::Duration};

use serde_json::Value;

use super::obey;

/// Who decides what is answered.
#[derive(Debug)]
pub struct Model {
    served: Vec<String>,
    /// `None`: the model obeys what the request says.
    turns: Option<Mutex<VecDeque<Turn>>>,
}

impl Model {
    /// The name under which the model is served unless another is chosen.
    pub const NAME: &str = "demo";

    /// A model that calls the tool which the last user message names, with the JSON or the text
    /// that stands there, and otherwise says what it heard.
    pub fn obedient() -> Self {
        Self { served: vec![Self::NAME.to_owned()], turns: None }
    }

    /// A model that gives these answers, one for each request that was taken, and then none.
    pub fn scripted(turns: impl IntoIterator<Item = Turn>) -> Self {
        Self { turns: Some(Mutex::new(turns.into_iter().collect())), ..Self::obedient() }
    }

    /// Served under this name alone.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.served = vec![name.into()];
        self
    }

    pub(super) fn served(&self) -> &[String] {
        &self.served
    }

    /// The answer to a request, and why there is none.
    pub(super) fn answer(&self, request: &Value) -> Result<Turn, String> {
        let Some(turns) = &self.turns else { return Ok(Turn::new([obey::answer(request)])) };
        let mut turns = turns.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        turns.pop_front().ok_or_else(|| "the script has no more turns".to_owned())
    }
}

/// One answer.
#[derive(Debug, Clone, Default)]
pub struct Turn {
    pub(super) items: Vec<Item>,
    pub(super) usage: Option<Value>,
    pub(super) pause: Option<(String, Duration)>,
    pub(super) cut: Option<String>,
    pub(super) error: Option<(u16, Value)>,
    pub(super) headers: Vec<(String, String)>,
}

impl Turn {
    /// These items, complete.
    pub fn new(items: impl IntoIterator<Item = Item>) -> Self {
        Self { items: items.into_iter().collect(), ..Self::default() }
    }

    /// An HTTP error in place of an answer.
    pub fn error(status: u16, body: Value) -> Self {
        Self { error: Some((status, body)), ..Self::default() }
    }

    /// A header of the answer.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With this `usage`.
    pub fn usage(mut self, usage: Value) -> Self {
        self.usage = Some(usage);
        self
    }

    /// The stream is silent for so long after the first event of this type.
    pub fn pause_after(mut self, event: &str, time: Duration) -> Self {
        self.pause = Some((event.to_owned(), time));
        self
    }

    /// The connection breaks after the first event of this type.
    pub fn cut_after(mut self, event: &str) -> Self {
        self.cut = Some(event.to_owned());
        self
    }
}

/// What an answer is made of.
#[derive(Debug, Clone)]
pub enum Item {
    /// Text.
    Say(String),
    /// Reasoning text.
    Think(String),
    /// A call of one of the functions that the request declares.
    Call(Call),
}

impl Item {
    /// Text.
    pub fn say(text: impl Into<String>) -> Self {
        Self::Say(text.into())
    }

    /// Reasoning text.
    pub fn think(text: impl Into<String>) -> Self {
        Self::Think(text.into())
    }

    /// A call with arguments. See [`Call::names`] for which function that is.
    pub fn call(names: &[&str], arguments: Value) -> Self {
        Self::Call(Call { names: owned(names), arguments: Some(arguments), text: None })
    }

    /// A call with free text, put where the declaration asks for it.
    pub fn call_with_text(names: &[&str], text: impl Into<String>) -> Self {
        Self::Call(Call { names: owned(names), arguments: None, text: Some(text.into()) })
    }
}

/// A call that does not know how the gateway spells the name of the function.
#[derive(Debug, Clone)]
pub struct Call {
    /// The one function that is called has all of these in its name. A function whose whole name
    /// is the last of them wins over others.
    pub names: Vec<String>,
    /// The arguments, or
    pub arguments: Option<Value>,
    /// the text for the one string parameter.
    pub text: Option<String>,
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}
