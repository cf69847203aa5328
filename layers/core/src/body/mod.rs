//! The bodies that the layers share: what one layer has read, the next does not read again.

mod budget;
mod collect;
mod count;
mod downcast;
mod element;
mod limited;
mod request;
mod response;

use std::cell::Cell;

pub(crate) use self::collect::Collect;
pub use self::{
    budget::{BodyBudget, ReservedBytes},
    collect::CollectError,
    element::ElementError,
    request::{BodyUse, ReadError, ReadObject, RequestBody},
    response::ResponseBody,
};
use crate::json::{Measure, Object};

/// How much the object is that a body is to be written from, measured once.
fn measured(object: &Object, measure: &Cell<Option<Measure>>) -> Measure {
    let known = measure.get().unwrap_or_else(|| object.measure());
    measure.set(Some(known));
    known
}

#[cfg(test)]
mod tests;
