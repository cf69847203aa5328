use tower::{ServiceExt, service_fn};

use super::*;

fn layer(keys: &[(&str, Owner)]) -> AccessLayer {
    AccessLayer {
        keys: Some(Arc::new(Keys { owners: keys.iter().map(|(key, owner)| (hash(key), owner.clone())).collect() })),
    }
}

/// What the inner service is told of the request.
async fn ask(layer: &AccessLayer, authorization: Option<&str>) -> (StatusCode, Option<Owner>, bool) {
    let seen = Arc::new(std::sync::Mutex::new((None, false)));
    let record = seen.clone();
    let inner = service_fn(move |request: Request<()>| {
        *record.lock().expect("a lock") =
            (request.extensions().get::<Owner>().cloned(), request.headers().contains_key(AUTHORIZATION));
        async { Ok::<_, Infallible>(Response::new(ResponseBody::empty())) }
    });
    let mut request = Request::new(());
    if let Some(value) = authorization {
        request.headers_mut().insert(AUTHORIZATION, value.parse().expect("a header"));
    }
    let response = layer.layer(inner).oneshot(request).await.expect("infallible");
    let (owner, forwarded) = seen.lock().expect("a lock").clone();
    (response.status(), owner, forwarded)
}

#[tokio::test]
async fn only_known_keys_get_in_and_none_goes_further() {
    let me = Owner::named("me");
    let layer = layer(&[("alpha", me.clone()), ("beta", me.clone()), ("gamma", Owner::named("you"))]);
    for (shown, expected) in [
        (Some("Bearer alpha"), Some(&me)),
        (Some("bearer beta"), Some(&me)),
        (Some("Bearer alph"), None),
        (Some("Basic alpha"), None),
        (Some("alpha"), None),
        (None, None),
    ] {
        let (status, owner, forwarded) = ask(&layer, shown).await;
        assert_eq!(owner.as_ref(), expected, "{shown:?}");
        assert_eq!(status, if expected.is_some() { 200 } else { 401 }, "{shown:?}");
        assert!(!forwarded, "{shown:?}");
    }
}

#[test]
fn a_key_goes_no_further_wherever_it_stands() {
    let layer = layer(&[("alpha", Owner::named("me"))]);
    for (name, value, stays) in [
        ("x-api-key", "alpha", false),
        ("api-key", " alpha", false),
        ("x-api-key", "another", true),
        ("authorization", "Basic another", false),
    ] {
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer alpha"));
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        layer.keys.as_ref().expect("keys").hide(&mut headers);
        assert_eq!(headers.contains_key(name), stays, "{name}: {value}");
        assert!(!headers.contains_key(AUTHORIZATION));
    }
}

#[tokio::test]
async fn without_keys_credentials_pass() {
    let (status, owner, forwarded) = ask(&AccessLayer::default(), Some("Bearer anything")).await;
    assert_eq!((status, owner, forwarded), (StatusCode::OK, None, true));
}

#[test]
fn a_missing_variable_does_not_open_the_door() {
    let settings = [ApiKeySettings { env: "TOWER_RESPONSES_TEST_NO_SUCH_VARIABLE".into(), owner: None }];
    assert!(AccessLayer::new(&settings).is_err());
}
