use std::time::Duration;

use serde::Deserialize;

/// What every answer is made of: one text, if there are deltas, and then calls.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Pieces of text.
    pub deltas: usize,
    /// Each piece.
    pub delta: String,
    pub calls: Vec<Call>,
    /// Between two events. None: as fast as they can be written.
    pub pace_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// How the name of the called function ends. Which one it is, the request says.
    pub name: String,
    /// A JSON text, sent in so many pieces in a stream.
    pub arguments: String,
    pub pieces: usize,
}

impl Script {
    pub fn pace(&self) -> Option<Duration> {
        self.pace_ms.filter(|&pace| pace > 0).map(Duration::from_millis)
    }
}
