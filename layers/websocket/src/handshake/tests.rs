use super::*;

#[test]
fn only_get_of_responses_is_for_us() {
    for (method, path, ours) in [
        (Method::GET, "/v1/responses", true),
        (Method::GET, "/responses/", true),
        (Method::GET, "/a/b/v1/responses", true),
        (Method::GET, "/v1/responses/resp_1", false),
        (Method::GET, "/v1/xresponses", false),
        (Method::GET, "/", false),
        (Method::POST, "/v1/responses", false),
        (Method::HEAD, "/v1/responses", false),
    ] {
        assert_eq!(is_for_us(&method, path), ours, "{method} {path}");
    }
}

#[test]
fn extensions_go_along() {
    #[derive(Clone, Debug, PartialEq)]
    struct Owner(&'static str);

    let mut handshake = Request::get("/v1/responses?a=b").body(()).unwrap();
    handshake.extensions_mut().insert(Owner("me"));
    let head = RequestHead::new(handshake.into_parts().0);
    for number in 1..3 {
        let request = head.request(RequestBody::empty(), number);
        assert_eq!(request.extensions().get(), Some(&Owner("me")));
        assert_eq!(request.uri(), "/v1/responses?a=b");
        assert_eq!(request.method(), Method::POST);
    }
}

#[test]
fn headers_keep_their_order_their_repeats_and_their_secrets() {
    let mut handshake = Request::get("/v1/responses").body(()).unwrap();
    for (name, value) in [("x-a", "1"), ("x-b", ""), ("x-a", "\u{e9}"), ("cookie", "c=d")] {
        handshake.headers_mut().append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let mut secret = HeaderValue::from_static("Bearer key");
    secret.set_sensitive(true);
    handshake.headers_mut().insert("authorization", secret);
    let mut expected = handshake.headers().clone();
    expected.insert("content-type", HeaderValue::from_static("application/json"));
    expected.insert("accept", HeaderValue::from_static("text/event-stream"));
    let head = RequestHead::new(handshake.into_parts().0);
    assert_eq!(head.headers, expected);
    assert!(head.headers["authorization"].is_sensitive());
    assert!(!head.headers["cookie"].is_sensitive());
}
