//! `tower-responses`: the gateway. `tower-responses --help` says what it can do.

fn main() -> std::process::ExitCode {
    tower_responses::gateway::main()
}
