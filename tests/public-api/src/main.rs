//! Prints the public API of the crate whose rustdoc JSON is named: a line for each item, sorted.

use std::{env, error::Error, process::ExitCode};

fn main() -> ExitCode {
    match print() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn print() -> Result<(), Box<dyn Error>> {
    let path = env::args_os().nth(1).ok_or("which JSON of rustdoc?")?;
    // What every type has says nothing; what a type is (Send, Sync) the tests of the stack hold.
    let api = public_api::Builder::from_rustdoc_json(path)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build()?;
    for item in api.items() {
        println!("{item}");
    }
    Ok(())
}
