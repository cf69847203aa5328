//! `tower-responses codex`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    folder, program, run,
    support::Gateway,
    upstreams::{Lacks, start},
};

/// A program in place of Codex, which says what it was given.
fn fake_codex(folder: &Path, exit: i32) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("fake-codex");
    let text = format!(
        "#!/bin/sh\necho \"home=$CODEX_HOME\"\nprintf '<%s>' \"$@\"\necho\ncat \"$CODEX_HOME/config.toml\"\nexit {exit}\n"
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn codex(gateway: &str, home: &Path) -> Command {
    let mut command = program();
    command.args(["codex", "--gateway", gateway]).current_dir(home).env("HOME", home);
    command.env_remove("XDG_CACHE_HOME").env_remove("XDG_DATA_HOME");
    command
}

#[tokio::test]
async fn a_printed_configuration_names_a_catalog_that_is_there() {
    let (gateway, home) = (start(Lacks::Nothing).await, folder("print"));
    let catalog = home.join(".local/share/tower-responses/codex/tower-responses/catalog.json");
    let (code, printed, said) = run(codex(&gateway, &home).arg("--print=catalog")).await;
    assert_eq!((code, said.as_str(), fs::read_dir(&home).unwrap().count()), (0, "", 0));
    let models: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&models["models"][0]["slug"], &models["models"][0]["context_window"]), (&json!("tiny"), &json!(65536)));
    for print in ["--print", "--print=config"] {
        let (code, config, said) = run(codex(&gateway, &home).arg(print)).await;
        let config: toml::Table = config.parse().unwrap();
        assert_eq!((code, config["model"].as_str()), (0, Some("tiny")));
        assert_eq!(config["model_catalog_json"].as_str(), catalog.to_str());
        assert!(said.contains(catalog.to_str().unwrap()), "{said}");
        assert_eq!(serde_json::from_slice::<Value>(&fs::read(&catalog).unwrap()).unwrap(), models);
        fs::remove_file(&catalog).unwrap();
        let provider = &config["model_providers"]["tower-responses"];
        assert_eq!(provider["base_url"].as_str(), Some(format!("{gateway}/v1").as_str()));
        assert_eq!(provider["wire_api"].as_str(), Some("responses"));
    }
    let (_, both, _) = run(codex(&gateway, &home).args(["--print=all", "--provider", "mine", "--out", "x"])).await;
    assert!(both.contains("model_catalog_json") && both.contains("\"slug\":\"tiny\""));
    assert!(home.join("x/catalog.json").exists());
    fs::write(home.join("file"), "").unwrap();
    let (code, printed, errors) = run(codex(&gateway, &home).args(["--print", "--out", "file/x"])).await;
    assert!(code == 1 && printed.is_empty() && errors.contains("file/x"), "{errors}");
}

#[tokio::test]
async fn files_are_written_and_replaced_but_never_those_of_others() {
    let (gateway, home) = (start(Lacks::Nothing).await, folder("write"));
    for _ in 0..2 {
        let (code, said, _) = run(codex(&gateway, &home).args(["--out", "x y", "--websocket"])).await;
        assert_eq!(code, 0);
        assert!(said.contains(&format!("CODEX_HOME='{}'", home.join("x y").display())), "{said}");
        assert!(said.contains("(1 model)") && said.contains("--profile local"), "{said}");
    }
    let config: toml::Table = fs::read_to_string(home.join("x y/config.toml")).unwrap().parse().unwrap();
    let catalog = home.join("x y/catalog.json");
    assert_eq!(config["model_catalog_json"].as_str(), catalog.to_str());
    assert_eq!(config["model_providers"]["tower-responses"]["supports_websockets"].as_bool(), Some(true));
    assert!(serde_json::from_slice::<Value>(&fs::read(catalog).unwrap()).unwrap()["models"][0].is_object());

    fs::create_dir(home.join("own")).unwrap();
    fs::write(home.join("own/config.toml"), "model = \"mine\"\n").unwrap();
    let (code, _, errors) = run(codex(&gateway, &home).args(["--out", "own"])).await;
    assert!(code != 0 && errors.contains("--out"), "{errors}");
    assert_eq!(fs::read_to_string(home.join("own/config.toml")).unwrap(), "model = \"mine\"\n");
    assert!(!home.join("own/catalog.json").exists());
}

#[tokio::test]
async fn codex_runs_in_a_home_of_its_own_which_goes_with_it() {
    let (gateway, home) = (start(Lacks::Nothing).await, folder("run"));
    let mut command = codex(&gateway, &home);
    command.args(["--", "exec", "say hello", "--model"]).env("CODEX_BIN", fake_codex(&home, 7));
    let (code, said, errors) = run(&mut command).await;
    assert_eq!(code, 7, "{said}{errors}");
    assert!(said.contains("<exec><say hello><--model>"), "{said}");
    assert!(said.contains(&format!("base_url = \"{gateway}/v1\"")), "{said}");
    let codex_home = Path::new(said.lines().next().unwrap().strip_prefix("home=").unwrap());
    assert!(codex_home.starts_with(home.join(".cache")), "{codex_home:?}");
    assert!(!codex_home.exists());
    assert!(!home.join(".codex").exists());

    let mut command = codex(&gateway, &home);
    command.args(["--out", "kept", "--", "exec"]).env("CODEX_BIN", fake_codex(&home, 0));
    let (code, said, _) = run(&mut command).await;
    assert_eq!(code, 0);
    assert!(said.contains(&format!("home={}", home.join("kept").display())), "{said}");
    assert!(home.join("kept/config.toml").exists());
}

#[tokio::test]
async fn what_cannot_be_done_is_said() {
    let (gateway, home) = (start(Lacks::Nothing).await, folder("errors"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let rows: [(String, &[&str], &str); 6] = [
        (format!("http://{free}"), &[], "no gateway answers"),
        (start(Lacks::Key).await, &[], "--api-key-env"),
        (start(Lacks::ModelList).await, &[], "does not list its models"),
        (gateway.clone(), &["--provider", "OpenAI"], "OpenAI"),
        (gateway.clone(), &["--print", "--", "exec"], "cannot be used with"),
        (gateway.clone(), &["--", "exec"], "there is no program 'codex'"),
    ];
    for (gateway, arguments, why) in rows {
        let (code, said, errors) = run(codex(&gateway, &home).env("PATH", &home).args(arguments)).await;
        assert_ne!(code, 0, "{arguments:?} {said}");
        assert!(errors.contains(why), "{arguments:?} {errors}");
    }
    assert!(fs::read_dir(&home).unwrap().all(|entry| entry.unwrap().file_name() == ".cache"));
    assert_eq!(fs::read_dir(home.join(".cache/tower-responses")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_model_that_is_not_listed_is_in_the_catalog_all_the_same() {
    let (gateway, home) = (start(Lacks::Nothing).await, folder("unlisted"));
    let (code, catalog, errors) = run(codex(&gateway, &home).args(["--model", "gpt-5", "--print=catalog"])).await;
    let catalog: Value = serde_json::from_str(&catalog).unwrap();
    assert_eq!((code, &catalog["models"][1]["slug"]), (0, &json!("gpt-5")));
    assert!(errors.contains("gpt-5"), "{errors}");
}

/// Where `CODEX_BIN` names it: the real Codex, through the real gateway.
#[tokio::test]
async fn the_real_codex_answers_through_the_gateway() {
    let Ok(real) = std::env::var("CODEX_BIN") else { return eprintln!("skipped: CODEX_BIN is not set") };
    let home = folder("real");
    let upstream = start(Lacks::AllButFunctions).await;
    let gateway = Gateway::start(&["--upstream", &upstream, "--store", "memory"]);
    let mut command = codex(&gateway.url, &home);
    command.args(["--", "exec", "--skip-git-repo-check", "-s", "read-only", "hello"]).env("CODEX_BIN", real);
    let (code, said, errors) = run(&mut command).await;
    assert_eq!((code, said.trim()), (0, "ok"), "{errors}");
    assert!(errors.contains("provider: tower-responses") && !errors.contains("Model metadata"), "{errors}");
    assert!(!home.join(".codex").exists());
}
