//! What is answered here and not by the upstream: reading and deleting stored responses.

use http::{Response, StatusCode, request::Parts};
use tower_responses_core::{
    ApiError, ResponseBody,
    json::{Object, Value},
};

use crate::{
    Owner, ResponseId,
    create::store_failed,
    keeper::Keeper,
    listing::{Listing, list},
    route::{Name, Route},
};

/// Answers a request that is none to make a response.
pub(crate) async fn answer(keeper: Option<&Keeper>, head: &Parts, route: Route) -> Response<ResponseBody> {
    match object(keeper, head, route).await {
        Ok(object) => json(object),
        Err(error) => error.into_response(),
    }
}

async fn object(keeper: Option<&Keeper>, head: &Parts, route: Route) -> Result<Object, ApiError> {
    let owner = Owner::of_request(head);
    match route {
        Route::Get(name) => {
            if head.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "stream=true")) {
                let message = "Only a response in the background can be streamed again.";
                return Err(ApiError::bad_request(message).param("stream"));
            }
            let (keeper, id) = find(keeper, &name)?;
            let stored = keeper.get(&owner, id).await.map_err(failed)?;
            stored.ok_or_else(|| not_found(&name))?.to_object().map_err(failed)
        }
        Route::Delete(name) => {
            let (keeper, id) = find(keeper, &name)?;
            if !keeper.delete(&owner, id).await.map_err(failed)? {
                return Err(not_found(&name));
            }
            let mut deleted = Object::new();
            deleted.set("id", &*name.0);
            deleted.set("object", "response");
            deleted.set("deleted", Value::bool(true));
            Ok(deleted)
        }
        Route::InputItems(name) => {
            let (keeper, id) = find(keeper, &name)?;
            let listing = Listing::of_query(head.uri.query().unwrap_or_default())?;
            let chain = keeper.chain(&owner, id).await.map_err(failed)?.ok_or_else(|| not_found(&name))?;
            list(id, &chain, &listing)
        }
        Route::Cancel(name) => {
            let (keeper, id) = find(keeper, &name)?;
            if !keeper.store().exists(&owner, id).await.map_err(failed)? {
                return Err(not_found(&name));
            }
            Err(ApiError::bad_request("Cannot cancel a synchronous response."))
        }
        Route::Unsupported(name) => {
            let message = format!("{} /responses/{name} is not supported.", head.method);
            Err(ApiError::bad_request(message).code("unsupported_endpoint"))
        }
        Route::Create => Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "not answered here")),
    }
}

fn find<'a>(keeper: Option<&'a Keeper>, name: &Name) -> Result<(&'a Keeper, ResponseId), ApiError> {
    keeper.zip(name.id()).ok_or_else(|| not_found(name))
}

fn not_found(name: &Name) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("Response with id '{}' not found.", name.0))
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: crate::StoreError) -> ApiError {
    store_failed(&error)
}

fn json(object: Object) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(object));
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/json"));
    response
}
