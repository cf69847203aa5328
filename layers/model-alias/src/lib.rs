//! A tower Layer that rewrites model names and restores the one that the client used.
