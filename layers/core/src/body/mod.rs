//! The bodies that the layers share: what one layer has read, the next does not read again.

mod collect;
mod downcast;
mod request;
mod response;

pub(crate) use self::collect::Collect;
pub use self::{
    collect::CollectError,
    request::{BodyUse, ReadError, ReadObject, RequestBody},
    response::ResponseBody,
};
