//! A tower Layer that turns function calls back into the calls that the client declared.
