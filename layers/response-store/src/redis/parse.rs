//! Reading what the scripts answer.

use bytes::Bytes;
use redis::Value;

use crate::{Conversation, History, Owner, ResponseId, Shared, StoreError, Stored};

fn unreadable() -> StoreError {
    StoreError::corrupt("Redis answers with something else than was stored")
}

fn bytes(value: Option<Value>) -> Result<Bytes, StoreError> {
    match value {
        Some(Value::BulkString(bytes)) => Ok(bytes.into()),
        _ => Err(unreadable()),
    }
}

fn array(value: Option<Value>) -> Result<std::vec::IntoIter<Value>, StoreError> {
    match value {
        Some(Value::Array(values)) => Ok(values.into_iter()),
        _ => Err(unreadable()),
    }
}

fn own(conversation: Conversation, bytes: &[u8]) -> Result<ResponseId, StoreError> {
    Ok(ResponseId::from_parts(conversation, bytes.try_into().map_err(|_| unreadable())?))
}

fn shared(texts: Option<Value>) -> Result<Vec<Shared>, StoreError> {
    let mut texts = array(texts)?;
    let mut shared = Vec::new();
    while let Some(digest) = texts.next() {
        let digest = bytes(Some(digest))?.as_ref().try_into().map_err(|_| unreadable())?;
        shared.push(Shared::verify(digest, bytes(texts.next())?)?);
    }
    Ok(shared)
}

pub(super) fn history(id: ResponseId, answer: Value) -> Result<Option<History>, StoreError> {
    if answer == Value::Nil {
        return Ok(None);
    }
    let mut answer = array(Some(answer))?;
    let mut pairs = array(answer.next())?;
    let mut links = Vec::new();
    while let Some(link) = pairs.next() {
        links.push((own(id.conversation(), &bytes(Some(link))?)?, bytes(pairs.next())?));
    }
    links.reverse();
    Ok(Some(History { links, shared: shared(answer.next())? }))
}

pub(super) fn stored(owner: &Owner, id: ResponseId, answer: Value) -> Result<Option<Stored>, StoreError> {
    if answer == Value::Nil {
        return Ok(None);
    }
    let mut answer = array(Some(answer))?;
    let previous = bytes(answer.next())?;
    let previous = if previous.is_empty() { None } else { Some(own(id.conversation(), &previous)?) };
    let body = bytes(answer.next())?;
    Ok(Some(Stored { id, previous, owner: owner.clone(), body, shared: shared(answer.next())? }))
}
