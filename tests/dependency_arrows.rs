//! Who may depend on whom: the root on the layers, the layers on the core, nobody the other way
//! and no layer on another; and no layer on a framework.

use std::{collections::BTreeMap, process::Command};

const CORE: &str = "tower-responses-core";
const TESTING: &str = "tower-responses-testing";

/// What a layer may stand on beside the core. Stores bring their databases.
const ALLOWED: [&str; 16] = [
    "bytes",
    "getrandom",
    "http",
    "http-body",
    "http-body-util",
    "memchr",
    "metrics",
    "pin-project-lite",
    "serde",
    "serde_json",
    "sha2",
    "tokio",
    "tower",
    "tower-layer",
    "tower-service",
    "tracing",
];

/// What one layer needs and no other: its subject, or the database of one of its backends.
fn own_subject(layer: &str) -> &'static [&'static str] {
    match layer {
        // Ids of models stand in paths.
        "tower-responses-model-catalog" => &["percent-encoding"],
        "tower-responses-websocket" => {
            &["hyper", "hyper-util", "tokio-tungstenite", "tungstenite", "futures-util", "futures-core", "futures-sink"]
        }
        "tower-responses-response-store" => &[
            "crc32fast",
            "rand",
            "rusqlite",
            "tokio-postgres",
            "deadpool-postgres",
            "redis",
            "futures-util",
            "tokio-postgres-rustls",
            "rustls",
            "webpki-roots",
        ],
        _ => &[],
    }
}

/// The normal dependencies of each package of the workspace.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1", "--offline"])
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    #[allow(clippy::disallowed_methods, reason = "a test may parse what it pleases")]
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &serde_json::Value| value.as_str().expect("a string").to_owned();
    let of = |package: &serde_json::Value| {
        let all = package["dependencies"].as_array().expect("a list");
        let normal = all.iter().filter(|dependency| dependency["kind"].is_null());
        (text(&package["name"]), normal.map(|dependency| text(&dependency["name"])).collect())
    };
    metadata["packages"].as_array().expect("a list").iter().map(of).collect()
}

#[test]
fn arrows_point_inward() {
    let packages = dependencies();
    let layers: Vec<_> = packages.keys().filter(|name| *name != "tower-responses" && *name != TESTING).collect();
    assert!(layers.len() >= 8, "the layers were found: {layers:?}");
    for layer in layers {
        for dependency in &packages[layer] {
            let ours = dependency.starts_with("tower-responses");
            assert!(!ours || (dependency == CORE && layer != CORE), "{layer} must not depend on {dependency}");
            let allowed =
                ours || ALLOWED.contains(&dependency.as_str()) || own_subject(layer).contains(&dependency.as_str());
            assert!(allowed, "{layer} depends on {dependency}, which is none of what layers stand on");
        }
    }
    assert!(packages["tower-responses"].iter().all(|dependency| dependency != TESTING), "tests stay tests");
}
