use http::Request;

use super::*;

#[test]
fn routes() {
    let one = |id: &str, list: &str| Some((Route::One(id.to_owned()), list.to_owned()));
    let list = |uri: &str| Some((Route::List, uri.to_owned()));
    let rows = [
        ("GET", "/v1/models", list("/v1/models")),
        ("GET", "/models", list("/models")),
        ("GET", "/a/b/models/?x=1", list("/a/b/models/?x=1")),
        ("GET", "http://host:1/v1/models?client_version=1", list("http://host:1/v1/models?client_version=1")),
        ("GET", "/v1/models/qwen3", one("qwen3", "/v1/models")),
        ("GET", "/v1/models/org/name?x=1", one("org/name", "/v1/models?x=1")),
        ("GET", "/v1/models/org%2Fn%20me", one("org/n me", "/v1/models")),
        ("GET", "http://host:1/models/models/x", one("models/x", "http://host:1/models")),
        ("GET", "/v1/models/%ff", None),
        ("GET", "/v1/submodels", None),
        ("GET", "/v1/responses", None),
        ("POST", "/v1/models", None),
        ("DELETE", "/v1/models/ft", None),
    ];
    for (method, uri, want) in rows {
        let (head, ()) = Request::builder().method(method).uri(uri).body(()).unwrap().into_parts();
        let got = Route::of(&head).map(|(route, uri)| (route, uri.to_string()));
        assert_eq!(got, want, "{method} {uri}");
    }
}
