//! What this crate makes, read by the real Codex. Runs where `CODEX_BIN` names it, such as
//! `CODEX_BIN=/path/to/codex cargo test -p tower-responses-model-catalog --test codex`.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
};

use serde_json::{Value, json};
use tower_responses_model_catalog::{Catalog, Settings, UpstreamModels, check_entry};

const VLLM: &str = r#"{"object":"list","data":[{"id":"tiny","object":"model","created":1790000000,"owned_by":"vllm","root":"/models/tiny","parent":null,"max_model_len":65536,"permission":[]}]}"#;

fn codex() -> Option<String> {
    let codex = std::env::var("CODEX_BIN").ok();
    if codex.is_none() {
        eprintln!("skipped: CODEX_BIN is not set");
    }
    codex
}

/// A home of its own for one run.
fn home(name: &str, catalog: &[u8], config: &str) -> PathBuf {
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("model-catalog").join(name);
    let _ = fs::remove_dir_all(&home);
    fs::create_dir_all(&home).unwrap();
    fs::write(home.join("catalog.json"), catalog).unwrap();
    let path = home.join("catalog.json");
    let config = format!("model = \"tiny\"\nmodel_catalog_json = {}\n{config}", json!(path.to_str().unwrap()));
    fs::write(home.join("config.toml"), config).unwrap();
    home
}

fn run(codex: &str, home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(codex);
    command.args(args).current_dir(home).env_clear().stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", home).env("CODEX_HOME", home);
    command.env("NO_PROXY", "127.0.0.1").env("HTTPS_PROXY", "http://127.0.0.1:9").env("TERM", "dumb");
    command.output().unwrap()
}

/// The catalog as Codex has understood it.
fn understood(codex: &str, name: &str, catalog: &[u8]) -> Value {
    let home = home(name, catalog, "");
    let output = run(codex, &home, &["debug", "models"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn catalog(settings: Value) -> Catalog {
    let upstream = UpstreamModels::parse(VLLM.into()).unwrap();
    let settings: Settings = serde_json::from_value(settings).unwrap();
    Catalog::build(Some(&upstream), [("coder", "tiny")], &settings)
}

/// Each setting, the values it can have, and the member in which Codex says that it has read it.
fn toggles() -> Vec<(&'static str, Vec<Value>, &'static str)> {
    let mut toggles = vec![
        ("display_name", vec![json!("Tiny \"one\" ü")], "display_name"),
        ("description", vec![json!("d")], "description"),
        ("context_window", vec![json!(1), json!(u32::MAX)], "context_window"),
        ("auto_compact_token_limit", vec![json!(1000)], "auto_compact_token_limit"),
        ("effective_context_window_percent", vec![json!(1), json!(100)], "effective_context_window_percent"),
        ("tool_search", vec![json!(true), json!(false)], "supports_search_tool"),
        ("default_reasoning_level", vec![json!("low"), json!("xhigh")], "default_reasoning_level"),
        ("base_instructions", vec![json!("b"), json!("")], "base_instructions"),
        ("auto_review_model_override", vec![json!("r")], "auto_review_model_override"),
        ("lite", vec![json!(true), json!(false)], "use_responses_lite"),
        ("priority", vec![json!(i32::MIN), json!(0), json!(i32::MAX)], "priority"),
        (
            "truncation",
            vec![json!({"mode": "bytes", "limit": 0}), json!({"mode": "tokens", "limit": u32::MAX})],
            "truncation_policy",
        ),
        ("experimental_tools", vec![json!(["clock", "unheard_of"]), json!([])], "experimental_supported_tools"),
    ];
    let texts: [(_, &[_], _); 8] = [
        ("reasoning_summary", &["auto", "concise", "detailed", "none"], "default_reasoning_summary"),
        ("verbosity", &["low", "medium", "high"], "default_verbosity"),
        ("tool_mode", &["direct", "code_mode", "code_mode_only"], "tool_mode"),
        ("multi_agent_version", &["v1", "v2", "disabled"], "multi_agent_version"),
        ("shell_type", &["unified_exec", "disabled"], "shell_type"),
        ("visibility", &["list", "hide", "none"], "visibility"),
        ("web_search", &["text", "text_and_image"], "web_search_tool_type"),
        ("multi_agent_version", &["v2"], "multi_agent_version"),
    ];
    for (setting, values, member) in texts {
        toggles.push((setting, values.iter().map(|value| json!(value)).collect(), member));
    }
    let inputs = [json!(["text"]), json!(["text", "image"]), json!(["text", "image", "audio"])];
    toggles.push(("input_modalities", inputs.to_vec(), "input_modalities"));
    toggles
}

#[test]
fn codex_takes_every_setting() {
    let Some(codex) = codex() else { return };
    let read = understood(&codex, "plain", &catalog(json!({})).catalog_json());
    assert_eq!(read["models"].as_array().unwrap().len(), 2);
    assert_eq!(read["models"][0]["context_window"], 65536);
    assert_eq!(read["models"][0]["apply_patch_tool_type"], "freeform");
    for (setting, values, member) in toggles() {
        for value in values {
            let file = catalog(json!({"tiny": {setting: value}})).catalog_json();
            let read = understood(&codex, "toggle", &file);
            assert_eq!(read["models"][0][member], value, "{setting}");
        }
    }
    // Codex reads these as `unified_exec`.
    for shell in ["default", "local", "shell_command"] {
        understood(&codex, "shell", &catalog(json!({"*": {"shell_type": shell}})).catalog_json());
    }
    let levels = catalog(json!({"*": {"reasoning_levels": ["minimal", "low", "max", "odd"], "apply_patch": false}}));
    let read = understood(&codex, "levels", &levels.catalog_json());
    assert_eq!(read["models"][1]["supported_reasoning_levels"][3]["effort"], "odd");
    assert_eq!(read["models"][1]["apply_patch_tool_type"], Value::Null);
}

#[test]
fn codex_refuses_what_is_refused_here_and_takes_the_whole_document() {
    let Some(codex) = codex() else { return };
    let bad = json!({"models": [{"slug": "tiny", "visibility": "often"}]});
    let upstream = UpstreamModels::parse(bad.to_string().into()).unwrap();
    let home = home("bad", bad.to_string().as_bytes(), "");
    assert!(!run(&codex, &home, &["debug", "models"]).status.success());
    let repaired = Catalog::build(Some(&upstream), [], &Settings::new());
    understood(&codex, "repaired", &repaired.catalog_json());
    // The answer to `GET /v1/models` is a catalog too.
    let read = understood(&codex, "document", &repaired.document().text());
    assert_eq!(read["models"][0]["slug"], "tiny");
}

#[test]
fn what_codex_ships_passes_the_check() {
    let Some(codex) = codex() else { return };
    for model in bundled(&codex, "bundled") {
        assert_eq!(check_entry(&model.clone().into()), Ok(()), "{}", model["slug"]);
    }
}

/// The models that Codex brings along.
fn bundled(codex: &str, name: &str) -> Vec<Value> {
    let home = home(name, b"{}", "");
    fs::write(home.join("config.toml"), "").unwrap();
    let output = run(codex, &home, &["debug", "models", "--bundled"]);
    let bundled: Value = serde_json::from_slice(&output.stdout).unwrap();
    bundled["models"].as_array().unwrap().clone()
}

/// Every member that Codex knows or brings along, with values of every type: what passes the check
/// here must be taken there, in one document.
#[test]
fn codex_takes_what_passes_the_check() {
    let Some(codex) = codex() else { return };
    let names = "additional_speed_tiers apply_patch_tool_type auto_compact_token_limit auto_review_model_override \
        availability_nux base_instructions comp_hash context_window default_reasoning_level default_reasoning_summary \
        default_service_tier default_verbosity description display_name effective_context_window_percent \
        experimental_supported_tools include_apps_usage_instructions input_modalities max_context_window model_messages \
        model_specialty multi_agent_reasoning_effort multi_agent_tools_in_code_mode multi_agent_version node_repl_disabled \
        allow_only_chatgpt_workspace_executor allow_only_codex_cloud_agent_orchestrator priority service_tiers \
        shell_type support_verbosity supported_in_api supported_reasoning_levels supports_search_tool tool_mode \
        truncation_policy upgrade use_responses_lite visibility web_search_provider web_search_tool_type unheard_of";
    let shipped = bundled(&codex, "shipped");
    let shipped = shipped.iter().flat_map(|model| model.as_object().unwrap().keys().map(String::as_str));
    let names: BTreeSet<_> = names.split_whitespace().chain(shipped).collect();
    let values = [
        json!(null),
        json!("z"),
        json!(5),
        json!(-5),
        json!(1.5),
        json!(u64::MAX),
        json!(true),
        json!([]),
        json!([1]),
        json!(["z"]),
        json!({}),
        json!({"z": 1}),
        json!("text"),
        json!("list"),
        json!("none"),
        json!({"message": "m"}),
        json!({"model": "m", "migration_markdown": "m"}),
        json!({"mode": "bytes", "limit": -1}),
        json!(["image"]),
        json!([{"id": "i", "name": "n", "description": "d"}]),
        json!([{"effort": "e", "description": "d"}]),
    ];
    let plain: Value = serde_json::from_slice(&catalog(json!({})).catalog_json()).unwrap();
    let mut models = Vec::new();
    for name in names {
        for value in &values {
            let mut entry = plain["models"][0].clone();
            entry["slug"] = json!(format!("{name}-{}", models.len()));
            entry[name] = value.clone();
            if check_entry(&entry.clone().into()).is_ok() {
                models.push(entry);
            }
        }
    }
    for name in "apps approvals auto_review collaboration_modes confirmation_policies content_filter_guidance \
                 instructions_template multi_agent permissions persistent_instructions token_budget unheard_of"
        .split_whitespace()
    {
        let tables =
            [json!({"role": 5}), json!({"role": {"root": "r"}}), json!({"usage_instructions": 5}), json!({"z": "z"})];
        for value in values.iter().chain(&tables) {
            let mut entry = plain["models"][0].clone();
            entry["slug"] = json!(format!("messages-{}", models.len()));
            entry["model_messages"] = json!({name: value});
            if check_entry(&entry.clone().into()).is_ok() {
                models.push(entry);
            }
        }
    }
    assert!(models.len() > 100, "{}", models.len());
    understood(&codex, "checked", json!({ "models": models }).to_string().as_bytes());
}

/// Answers one request with a short stream, and gives back what was sent.
fn serve_once(listener: &TcpListener) -> Value {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line).unwrap() > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let item =
        json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "CATALOG READ"}]});
    let events = [
        json!({"type": "response.output_item.done", "item": item}),
        json!({"type": "response.completed", "response": {"id": "r"}}),
    ];
    let events: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
    reader.get_mut().write_all(format!("{head}{events}").as_bytes()).unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn codex_works_with_the_catalog() {
    let Some(codex) = codex() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = format!(
        "model_provider = \"rig\"\n[features]\nplugins = false\napps = false\n[model_providers.rig]\nname = \"Rig\"\n\
         base_url = \"http://127.0.0.1:{port}/v1\"\nwire_api = \"responses\"\n"
    );
    let settings =
        json!({"*": {"base_instructions": "BE BRIEF", "default_reasoning_level": "low", "verbosity": "high"}});
    let home = home("exec", &catalog(settings).catalog_json(), &config);
    let server = thread::spawn(move || serve_once(&listener));
    let args = ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "hello"];
    let output = run(&codex, &home, &args);
    let printed = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.contains("CATALOG READ"), "{printed}");
    assert!(!printed.contains("Model metadata for") && !printed.contains("failed to"), "{printed}");
    let request = server.join().unwrap();
    let tools = request["tools"].as_array().unwrap();
    assert!(tools.iter().any(|tool| tool["type"] == "custom" && tool["name"] == "apply_patch"), "{tools:?}");
    assert_eq!(request["input"][0]["content"][0]["text"], "BE BRIEF");
    assert_eq!(request["reasoning"]["effort"], "low");
    assert_eq!(request["text"]["verbosity"], "high");
}
