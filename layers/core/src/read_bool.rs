use crate::{
    ApiError,
    json::{Object, Value},
};

/// Reads a boolean of a request. `None` if it is left out or `null`.
///
/// Who acts on it must not take `1` or `"true"` for something else than the layer beside it, or
/// than the upstream does.
///
/// # Errors
/// 400 `invalid_type` for any other value, in OpenAI's words.
///
/// ```
/// use tower_responses_core::{read_bool, json::Object};
///
/// let request = Object::parse(r#"{"stream":true,"store":null,"background":1}"#.into()).unwrap();
/// assert_eq!(read_bool(&request, "stream").unwrap(), Some(true));
/// assert_eq!(read_bool(&request, "store").unwrap(), None);
/// let error = read_bool(&request, "background").unwrap_err();
/// assert_eq!(error.message(), "Invalid type for 'background': expected a boolean, but got an integer instead.");
/// ```
pub fn read_bool(request: &Object, name: &'static str) -> Result<Option<bool>, ApiError> {
    match request.get(name) {
        None => Ok(None),
        Some(value) => match value.as_bool() {
            None if !value.is_null() => Err(invalid_type(name, value)),
            read => Ok(read),
        },
    }
}

fn invalid_type(name: &'static str, value: &Value) -> ApiError {
    let got = match value.text().first() {
        Some(b'"') => "a string",
        Some(b'[') => "an array",
        Some(b'{') => "an object",
        _ if value.as_i64().is_some() => "an integer",
        _ => "a decimal",
    };
    let message = format!("Invalid type for '{name}': expected a boolean, but got {got} instead.");
    ApiError::bad_request(message).param(name).code("invalid_type")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_boolean_is_named() {
        for (value, got) in [
            ("0", "an integer"),
            ("-1", "an integer"),
            ("1.0", "a decimal"),
            ("1e3", "a decimal"),
            ("\"true\"", "a string"),
            ("[true]", "an array"),
            ("{}", "an object"),
        ] {
            let request = Object::parse(format!("{{\"store\":{value}}}").into()).unwrap();
            let error = read_bool(&request, "store").unwrap_err();
            assert!(error.message().contains(&format!("got {got} instead")), "{value}: {error}");
            let error = error.to_object();
            assert!(error.member_is("param", "store") && error.member_is("code", "invalid_type"));
        }
    }

    #[test]
    fn the_last_of_several_counts() {
        let request = Object::parse(r#"{"store":1,"st\u006fre":false}"#.into()).unwrap();
        assert_eq!(read_bool(&request, "store").unwrap(), Some(false));
    }
}
