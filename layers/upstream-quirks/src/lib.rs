//! A tower Layer that makes what a model server says true and usable.
