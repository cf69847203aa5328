//! What the shell has to know of the workspace, from `cargo metadata` on standard input.
//!
//! `published` prints the names of the packages that are published, a line each; `alone` the flags
//! with which cargo looks at each package by itself: as it comes, without features, and with each one
//! of them.
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a program for scripts")]

use std::{collections::BTreeSet, error::Error};

use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let metadata: Value = serde_json::from_reader(std::io::stdin())?;
    let wanted = std::env::args().nth(1).ok_or("published or alone?")?;
    for package in metadata["packages"].as_array().ok_or("no packages")? {
        let name = package["name"].as_str().ok_or("a package without a name")?;
        match wanted.as_str() {
            "published" if package["publish"] != serde_json::json!([]) => println!("{name}"),
            "published" => {}
            "alone" => alone(name, package["features"].as_object().ok_or("a package without features")?),
            other => return Err(format!("published or alone, not {other}").into()),
        }
    }
    Ok(())
}

fn alone(name: &str, features: &serde_json::Map<String, Value>) {
    println!("-p {name}");
    if features.contains_key("default") {
        println!("-p {name} --no-default-features");
    }
    let features: BTreeSet<_> = features.keys().filter(|feature| *feature != "default").collect();
    for feature in features {
        println!("-p {name} --no-default-features --features={feature}");
    }
}
