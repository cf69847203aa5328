//! `tower-responses serve`, where it cannot.

use std::{fs, path::Path};

use tokio::process::Command;

use crate::{folder, program, run};

fn serve(home: &Path) -> Command {
    let mut command = program();
    command.args(["serve", "--store", "memory", "--listen", "127.0.0.1:0"]).current_dir(home).env("HOME", home);
    command.env_remove("XDG_DATA_HOME");
    command
}

#[tokio::test]
async fn a_flag_that_cannot_be_meant_is_explained() {
    let home = folder("flags");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("--listen={}", taken.local_addr().unwrap());
    let rows: [(&str, &[&str]); 11] = [
        (&taken, &["cannot listen on 127.0.0.1:", "--listen names another"]),
        ("--listen=8080", &["8080", "such as 127.0.0.1:8080"]),
        ("--listen=localhost", &["localhost", "such as 127.0.0.1:8080"]),
        ("--config=missing.toml", &["the configuration missing.toml cannot be read", "No such file"]),
        ("--upstream=localhost:8000", &["localhost:8000", "http://"]),
        ("--upstream=http://127.0.0.1:8000/v1/responses", &["/v1/responses", "ends with /v1"]),
        ("--heartbeat=-1", &["heartbeat: -1 is no number of seconds"]),
        ("--max-in-flight=0", &["limits.in_flight: 0"]),
        ("--profile=vlm", &["vlm", "vllm, generic, none"]),
        ("--alias=gpt-5", &["gpt-5", "NAME=TARGET"]),
        ("--upsteam=http://127.0.0.1:8000", &["--upsteam", "--upstream"]),
    ];
    for (flag, words) in rows {
        // The later one counts.
        let mut command = program();
        command.args(["serve", "--store", "memory", flag]).current_dir(&home);
        if !flag.starts_with("--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        let (code, out, errors) = run(&mut command).await;
        assert!(code != 0 && out.is_empty(), "{flag}: {out}");
        assert!(words.iter().all(|word| errors.contains(word)), "{flag}: {errors}");
        assert!(errors.starts_with("error: ") && !errors.ends_with("\n\n"), "{flag}: {errors}");
    }
}

#[tokio::test]
async fn a_mistake_in_the_configuration_is_shown_where_it_stands() {
    let home = folder("configuration");
    let rows: [(&str, &[&str]); 6] = [
        ("[limits]\nrequest_byte = 3\n", &["line 2", "request_byte", "did you mean `request_bytes`?"]),
        ("[models.\"*\"]\nvisibility = \"hidden\"\n", &["line 2", "did you mean `hide`?"]),
        ("listen = \"127.0.0.1:0\"\n[upstream\n", &["line 2", "unclosed table"]),
        ("listen = 5\n", &["line 1", "expected a string"]),
        ("[upstream]\nfixes_on = [\"heartbeats\"]\n", &["heartbeats", "did you mean heartbeat?"]),
        ("[upstream]\nidle_timeout = -1\n", &["upstream.idle_timeout: -1 is no number of seconds"]),
    ];
    for (text, words) in rows {
        fs::write(home.join("config.toml"), text).unwrap();
        let (code, out, errors) = run(serve(&home).args(["--config", "config.toml"])).await;
        assert!(code == 1 && out.is_empty(), "{text}: {out}");
        assert!(words.iter().all(|word| errors.contains(word)), "{text}: {errors}");
        assert!(!errors.ends_with("\n\n"), "{errors:?}");
    }
}

#[tokio::test]
async fn what_is_in_effect_is_printed_and_nothing_is_made() {
    let home = folder("effect");
    let mut command = program();
    command.args(["serve", "--print-config", "--heartbeat=3"]).env("HOME", &home).env_remove("XDG_DATA_HOME");
    let (code, printed, errors) = run(&mut command).await;
    assert_eq!(code, 0, "{errors}");
    let config: toml::Table = printed.parse().unwrap();
    assert_eq!((config["listen"].as_str(), config["heartbeat"].as_float()), (Some("127.0.0.1:8080"), Some(3.0)));
    let store = format!("sqlite:{}", home.join(".local/share/tower-responses/responses.db").display());
    assert_eq!(config["store"].as_str(), Some(store.as_str()));
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
}

#[tokio::test]
async fn help_fits_a_terminal() {
    for command in ["serve", "demo", "codex", "check", "store"] {
        let (code, help, _) = run(program().args([command, "--help"])).await;
        assert_eq!(code, 0);
        let long: Vec<_> = help.lines().filter(|line| line.chars().count() > 100).collect();
        assert!(long.is_empty(), "{command}: {long:#?}");
    }
}
