//! A tower Layer that turns every tool and history item into what a function-only upstream accepts.
