//! What an upstream is spared.

mod fields;
mod fold;
mod input;

use tower_responses_core::json::Object;

use crate::fix::{Fix, Tally};

/// Puts a request right.
pub(crate) fn correct(request: &mut Object, tally: &mut Tally) {
    fields::correct(request, tally);
    if tally.on(Fix::FoldInstructions) {
        fold::fold(request, tally);
    }
    input::correct(request, tally);
}
