use super::*;

fn parse(text: &str) -> Result<Settings, toml::de::Error> {
    toml::from_str(text)
}

#[test]
fn unknown_keys_are_errors_that_name_the_line() {
    for text in ["a = 1\n", "listen = \"x\"\n[upstream]\nulr = \"x\"\n", "[limits]\n\nmax = 1\n"] {
        let error = parse(text).expect_err(text).to_string();
        let line = text.lines().count();
        assert!(error.contains(&format!("line {line}")), "{error}");
    }
}

#[test]
fn flags_win_over_the_file() {
    let folder = std::env::temp_dir().join(format!("tower-responses-config-{}", std::process::id()));
    std::fs::write(&folder, "listen = \"a:1\"\nheartbeat = 3\n[aliases]\na = \"b\"\nc = \"d\"\n").expect("a file");
    let args = ServeArgs {
        config: Some(folder.clone()),
        listen: Some("x:2".into()),
        aliases: vec!["a=z".into()],
        ..ServeArgs::default()
    };
    let settings = Settings::from_args(&args).expect("settings");
    std::fs::remove_file(folder).expect("removed");
    assert_eq!(settings.listen.as_deref(), Some("x:2"));
    assert_eq!(settings.heartbeat, Some(3.0));
    assert_eq!(settings.aliases["a"], "z");
    assert_eq!(settings.aliases["c"], "d");
}

#[test]
fn what_is_shown_can_be_read_again_and_holds_no_secret() {
    let settings = parse("store = \"postgres://me:secret@host/db\"\n[[api_keys]]\nenv = \"KEY\"\nowner = \"me\"\n")
        .expect("settings");
    let shown = settings.to_toml();
    assert!(!shown.contains("secret"), "{shown}");
    let again = parse(&shown).expect(&shown);
    assert_eq!(again.api_keys[0].env, "KEY");
}

#[test]
fn the_example_file_is_understood() {
    let settings = parse(include_str!("../../../examples/tower-responses.toml")).expect("the example");
    assert_eq!(settings.upstreams["small"].models, ["qwen3-4b"]);
}
