use std::path::Path;

use super::*;

fn list(text: &str) -> Catalog {
    let list = UpstreamModels::parse(text.to_owned().into()).expect("a list");
    Catalog::build(Some(&list), [], &Settings::new())
}

#[test]
fn a_provider_is_never_called_openai() {
    for name in ["OpenAI", "openai", "", "a b", "a.b", "ä"] {
        assert!(provider(name).is_err(), "{name}");
    }
    assert_eq!(provider("my-gateway_2").as_deref(), Ok("my-gateway_2"));
}

#[test]
fn the_first_is_what_codex_would_offer_first() {
    assert_eq!(first(&list(r#"{"data":[{"id":"a"},{"id":"b"}]}"#)).as_deref(), Some("a"));
    assert_eq!(first(&list(r#"{"data":[]}"#)), None);
    let hidden = ModelSettings { visibility: Some(crate::model_catalog::Visibility::Hide), ..ModelSettings::default() };
    let early = ModelSettings { priority: Some(0), ..ModelSettings::default() };
    let settings = Settings::new().with("a", hidden).with("b", ModelSettings::default()).with("c", early);
    assert_eq!(first(&Catalog::build(None, [], &settings)).as_deref(), Some("c"));
}

#[test]
fn the_configuration() {
    let home = Home {
        provider: "gw".to_owned(),
        base_url: "http://h:1/v1".to_owned(),
        model: "a \"b\"".to_owned(),
        api_key_env: Some("KEY".to_owned()),
        websocket: true,
        catalog: bytes::Bytes::new(),
    };
    assert_eq!(
        home.config(Path::new("/x y/catalog.json")),
        "model = 'a \"b\"'\nmodel_provider = \"gw\"\nmodel_catalog_json = \"/x y/catalog.json\"\n\n\
         [model_providers.gw]\nbase_url = \"http://h:1/v1\"\nenv_key = \"KEY\"\nname = \"gw\"\n\
         requires_openai_auth = false\nsupports_websockets = true\nwire_api = \"responses\"\n"
    );
}

#[test]
fn a_path_is_one_word_of_a_shell() {
    assert_eq!(home::shell_word(Path::new("/a/b-c.d")), "/a/b-c.d");
    assert_eq!(home::shell_word(Path::new("/a b/it's")), r"'/a b/it'\''s'");
}
