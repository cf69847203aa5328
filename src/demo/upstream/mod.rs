//! A function-only model server that does as it is told.

mod model;
mod obey;
mod server;
mod strict;
mod tools;
mod wire;

pub use self::{
    model::{Call, Item, Model, Turn},
    server::{Exchange, Upstream},
};
