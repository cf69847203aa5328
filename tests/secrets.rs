//! What the program shows of itself: no secret, and nothing that commands a terminal.

#![allow(clippy::unwrap_used)]

mod support;

use std::process::{Command, Output, Stdio};

use support::{
    TempDir,
    raw::{JSON, Recorder},
};

const SECRET: &str = "s3cr3t";

fn run(args: &[&str], env: &[(&str, &str)]) -> (String, Output) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tower-responses"));
    let output = command.args(args).envs(env.iter().copied()).stdin(Stdio::null()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (said, output)
}

#[test]
fn the_configuration_is_printed_without_secrets() {
    let folder = TempDir::new();
    let config = folder.0.join("config.toml");
    let text = "[upstream]\nurl = 'http://me:s3cr3t@one/v1'\n\
        [upstreams.two]\nurl = 'https://two/v1?api-key=s3cr3t&x=1'\nmodels = ['a']\n\
        [upstreams.three]\nurl = 'https://s3cr3t@three'\nmodels = ['b']\n";
    std::fs::write(&config, text).unwrap();
    for store in [
        "postgres://me:s3cr3t@host/db",
        "postgres://host/db?user=me&password=s3cr3t&sslmode=require",
        "postgres://host/db?user=me@work&password=s3cr3t",
        "redis://:s3cr3t@host?prefix=p",
        "sqlite:/tmp/x.db?key=s3cr3t",
    ] {
        let (said, output) =
            run(&["serve", "--config", config.to_str().unwrap(), "--store", store, "--print-config"], &[]);
        assert!(output.status.success() && said.contains("one/v1") && said.contains("three"), "{said}");
        assert!(!said.contains(SECRET), "{said}");
        let again: toml::Table = toml::from_str(&said).expect("it can be read again");
        assert!(again.contains_key("upstreams"));
    }
}

#[test]
fn errors_tell_no_secret() {
    let folder = TempDir::new();
    let config = folder.0.join("config.toml");
    let start = ["serve", "--listen", "127.0.0.1:0"];
    for more in [
        &["--upstream", "http://me:s3cr3t@host"][..],
        &["--upstream", "me:s3cr3t@host"],
        &["--upstream", "ftp://host?key=s3cr3t"],
        &["--upstream", "http://host", "--store", "sqlite:x.db?key=s3cr3t"],
        &["--upstream", "http://host", "--store", "redis://host?key=s3cr3t"],
        &["--upstream", "http://host", "--store", "postgres://me:s3cr3t@host/db?nonsense=s3cr3t"],
        &["--upstream", "http://host", "--store", "postgresss://me:s3cr3t@host/db"],
    ] {
        let (said, output) = run(&[&start, more].concat(), &[]);
        assert!(!output.status.success() && said.contains("error: "), "{more:?}: {said}");
        assert!(!said.contains(SECRET), "{said}");
    }
    // A secret in a wrong place of the file, which is named.
    for (text, line) in [
        ("\n[upstream]\napi_key = 's3cr3t'\n", "line 3"),
        ("store = 'postgres://me:s3cr3t@host\n", "line 1"),
        ("\nheartbeat = \"s3cr3t\"\n", "line 2"),
        ("api_keys = 's3cr3t'\n", "line 1"),
    ] {
        std::fs::write(&config, text).unwrap();
        let (said, output) = run(&["serve", "--config", config.to_str().unwrap()], &[]);
        assert!(!output.status.success() && said.contains(line), "{said}");
        assert!(!said.contains(SECRET), "{said}");
    }
    // The help names variables, and not what they hold.
    let variables =
        [("TOWER_RESPONSES_STORE", "postgres://me:s3cr3t@h/d"), ("TOWER_RESPONSES_UPSTREAM", "http://s3cr3t@h")];
    for command in ["serve", "check", "store"] {
        let (said, _) = run(&[command, "--help"], &variables);
        assert!(said.contains("TOWER_RESPONSES_"), "{said}");
        assert!(!said.contains(SECRET), "{command}: {said}");
    }
}

#[test]
fn an_upstream_that_is_refused_is_shown_without_its_secret() {
    for url in ["http://127.0.0.1:9/v1?key=s3cr3t", "http://me:s3cr3t@127.0.0.1:9/v1"] {
        let (said, output) = run(&["serve", "--listen", "127.0.0.1:0", "--store", "memory", "--upstream", url], &[]);
        assert!(!output.status.success() && said.contains("127.0.0.1:9"), "{said}");
        assert!(!said.contains(SECRET), "{said}");
    }
}

/// An upstream that would clear the screen, set its title and paste.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_commands_no_terminal() {
    let evil = "\\u001b[2J\\u001b]0;title\\u0007\\r\\u009b31m\\u007f";
    let list = format!(r#"{{"object":"list","data":[{{"id":"m{evil}","max_model_len":4096}}]}}"#);
    let raw_text = "\u{1b}[2Jplain\u{9b}31m\r\u{7}";
    let answers = [
        format!("{JSON}content-length: {}\r\n\r\n{list}", list.len()),
        format!(
            "HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{raw_text}",
            raw_text.len()
        ),
        format!(
            "HTTP/1.1 400 Bad\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{{\"error\":{{\"message\":\"{evil}\"}}}}",
            evil.len() + 24
        ),
    ];
    let folder = TempDir::new();
    let out = folder.0.join("home");
    for answer in answers {
        let upstream = Recorder::answering(answer.into_bytes()).await;
        for args in [
            &["check", "--upstream", &upstream.url, "--timeout", "5"][..],
            &["check", "--upstream", &upstream.url, "--timeout", "5", "--json"],
            &["codex", "--gateway", &upstream.url, "--print"],
            &["codex", "--gateway", &upstream.url, "--out", out.to_str().unwrap()],
        ] {
            let (args, shown) = (args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>(), format!("{args:?}"));
            let said =
                tokio::task::spawn_blocking(move || run(&args.iter().map(String::as_str).collect::<Vec<_>>(), &[]).0);
            let said = said.await.unwrap();
            assert!(said.contains("u001b") || said.contains("u001B") || said.contains("plain"), "{shown}: {said}");
            let commands = said.chars().find(|&c| c.is_control() && c != '\n' && c != '\t');
            assert_eq!(commands, None, "{shown}: {said:?}");
        }
    }
}
