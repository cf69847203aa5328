//! What was found, as a table and as JSON.

use std::{borrow::Cow, fmt, process::ExitCode};

use serde_json::{Value, json};

use crate::gateway::commands::http::shorten;

/// How one question was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// The upstream does it.
    Yes,
    /// It does not, which can be lived with.
    No,
    /// It does not, and no gateway can make up for it.
    Broken,
    /// It could not be found out.
    Unknown,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Broken => "BROKEN",
            Self::Unknown => "?",
        }
    }
}

/// One row.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) name: &'static str,
    pub(super) state: State,
    /// What the upstream did.
    pub(super) found: String,
    /// What the gateway does about it; empty if there is nothing to do.
    pub(super) gateway: Cow<'static, str>,
}

/// All rows.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) upstream: String,
    pub(super) model: Option<String>,
    pub(super) reachable: bool,
    pub(super) context_length: Option<u32>,
    pub(super) checks: Vec<Check>,
    /// Why nothing more was asked, where that does not say that the upstream is of no use.
    pub(super) stopped: Option<&'static str>,
}

impl Report {
    pub(super) fn new(upstream: String) -> Self {
        Self { upstream, model: None, reachable: true, context_length: None, checks: Vec::new(), stopped: None }
    }

    pub(super) fn add(
        &mut self,
        name: &'static str,
        state: State,
        found: impl Into<String>,
        gateway: impl Into<Cow<'static, str>>,
    ) {
        self.checks.push(Check { name, state, found: found.into(), gateway: gateway.into() });
    }

    fn broken(&self) -> Vec<&'static str> {
        self.checks.iter().filter(|check| check.state == State::Broken).map(|check| check.name).collect()
    }

    pub(super) fn exit_code(&self) -> ExitCode {
        match (self.reachable, self.broken().is_empty()) {
            (false, _) => ExitCode::from(2),
            (true, false) => ExitCode::from(1),
            (true, true) => ExitCode::SUCCESS,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        let check = |check: &Check| {
            json!({
                "name": check.name,
                "state": check.state.name().to_lowercase().replace('?', "unknown"),
                "found": check.found,
                "gateway": (!check.gateway.is_empty()).then_some(&check.gateway),
            })
        };
        json!({
            "upstream": self.upstream,
            "model": self.model,
            "reachable": self.reachable,
            "usable": self.reachable && self.broken().is_empty(),
            "context_length": self.context_length,
            "checks": self.checks.iter().map(check).collect::<Vec<_>>(),
        })
    }

    fn verdict(&self) -> String {
        if !self.reachable {
            // In the table it may have been cut.
            let why = self.checks.iter().find(|check| check.state == State::Broken).map_or("", |check| &check.found);
            return format!("It cannot be reached: {why}.");
        }
        if let Some(why) = self.stopped {
            return format!("Not checked to its end: {why}.");
        }
        match self.broken().as_slice() {
            [] => "Usable through the gateway.".to_owned(),
            broken => format!("Not usable, also not through the gateway: {}.", broken.join(", ")),
        }
    }
}

/// The most characters of what was found that the table shows; JSON has all of it.
const FOUND: usize = 60;

/// The width of a column: its longest cell, within bounds.
fn width<'a>(cells: impl Iterator<Item = &'a str>, most: usize) -> usize {
    cells.map(|cell| cell.chars().count()).max().unwrap_or(0).min(most)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}{}\n",
            self.upstream,
            self.model.as_ref().map_or_else(String::new, |model| format!(", model {model}"))
        )?;
        let name = width(self.checks.iter().map(|check| check.name), 40);
        let found: Vec<_> = self.checks.iter().map(|check| shorten(&check.found, FOUND)).collect();
        let wide = width(found.iter().map(String::as_str), FOUND);
        writeln!(f, "  {:name$}  {:6}  {:wide$}  the gateway", "", "", "upstream")?;
        for (check, found) in self.checks.iter().zip(found) {
            let line = format!("  {:name$}  {:6}  {found:wide$}  {}", check.name, check.state.name(), check.gateway);
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f, "\n{}", self.verdict())
    }
}
