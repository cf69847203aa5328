use std::{borrow::Cow, fmt};

use http::{HeaderValue, Response, StatusCode, header};

use crate::{
    ResponseBody,
    json::{Object, Value},
};

/// An error that a client gets to see, in OpenAI's shape:
/// `{"error":{"message","type","param","code"}}`.
///
/// ```
/// use tower_responses_core::ApiError;
///
/// let error = ApiError::bad_request("no such thing").param("input[3]").code("not_found");
/// assert_eq!(error.status(), 400);
/// assert_eq!(
///     error.to_body(),
///     r#"{"error":{"message":"no such thing","type":"invalid_request_error","param":"input[3]","code":"not_found"}}"#
/// );
/// ```
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    message: Cow<'static, str>,
    kind: Cow<'static, str>,
    param: Option<Cow<'static, str>>,
    code: Option<Cow<'static, str>>,
    retry_after: Option<u32>,
}

impl ApiError {
    /// An error with this status; its `type` is the one OpenAI uses with it.
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        let kind = match status.as_u16() {
            401 => "authentication_error",
            403 => "permission_error",
            429 => "rate_limit_error",
            400..=499 => "invalid_request_error",
            _ => "server_error",
        };
        Self { status, message: message.into(), kind: kind.into(), param: None, code: None, retry_after: None }
    }

    /// 400: a request that nobody could answer. Clients do not send it again.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// Which part of the request is wrong.
    #[must_use]
    pub fn param(mut self, param: impl Into<Cow<'static, str>>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// A code that programs can read.
    #[must_use]
    pub fn code(mut self, code: impl Into<Cow<'static, str>>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Another `type` than the status suggests.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<Cow<'static, str>>) -> Self {
        self.kind = kind.into();
        self
    }

    /// When to come again, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong, in words.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The object that stands under `error`.
    pub fn to_object(&self) -> Object {
        let optional = |text: &Option<Cow<'static, str>>| text.as_deref().map_or_else(Value::null, Value::string);
        let mut error = Object::new();
        error.set("message", &*self.message);
        error.set("type", &*self.kind);
        error.set("param", optional(&self.param));
        error.set("code", optional(&self.code));
        error
    }

    /// The JSON body.
    pub fn to_body(&self) -> bytes::Bytes {
        let mut body = Object::new();
        body.set("error", self.to_object());
        body.text()
    }

    /// The HTTP response.
    pub fn into_response(self) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::from(self.to_body()));
        *response.status_mut() = self.status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.message)
    }
}

impl std::error::Error for ApiError {}
