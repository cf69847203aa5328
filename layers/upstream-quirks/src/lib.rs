//! A tower Layer that makes what a model server says true and usable.

mod answer;
mod early;
mod failure;
mod fix;
mod layer;
mod profile;
mod quirks;
mod request;
mod shape;
mod stream;

pub use self::{
    answer::Answer,
    early::{EarlyFuture, EarlyStream},
    fix::{Direction, Fix, Fixes, UnknownFix},
    layer::{UpstreamQuirks, UpstreamQuirksLayer},
    profile::{Profile, UnknownProfile},
    quirks::Quirks,
};
