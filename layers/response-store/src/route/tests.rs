use super::*;

#[test]
fn paths_are_told_apart_whatever_stands_before_them() {
    let id = || Name("resp_1".to_owned());
    for (method, path, route) in [
        ("POST", "/v1/responses", Some(Route::Create)),
        ("POST", "/responses/", Some(Route::Create)),
        ("POST", "/a/b/v1/responses", Some(Route::Create)),
        ("GET", "/v1/responses", None),
        ("GET", "/v1/responses/resp_1", Some(Route::Get(id()))),
        ("GET", "/x/responses/resp_1/", Some(Route::Get(id()))),
        ("DELETE", "/v1/responses/resp_1", Some(Route::Delete(id()))),
        ("PUT", "/v1/responses/resp_1", None),
        ("GET", "/v1/responses/resp_1/input_items", Some(Route::InputItems(id()))),
        ("POST", "/v1/responses/resp_1/input_items", None),
        ("POST", "/v1/responses/resp_1/cancel", Some(Route::Cancel(id()))),
        ("POST", "/v1/responses/compact", Some(Route::Unsupported("compact"))),
        ("POST", "/v1/responses/input_tokens", Some(Route::Unsupported("input_tokens"))),
        ("POST", "/v1/chat/completions", None),
        ("GET", "/v1/models/responses", None),
        ("GET", "/", None),
    ] {
        assert_eq!(Route::of(&method.parse().unwrap(), path), route, "{method} {path}");
    }
}
