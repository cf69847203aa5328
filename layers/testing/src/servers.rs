//! Real servers, started for the tests and stopped with them.
//!
//! A server that is not installed is `None`, and its tests are skipped; where `CI` or
//! `TOWER_RESPONSES_REAL_SERVERS` is set that is a failure.

#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "these are tests")]

mod postgres;
mod redis;

use std::{
    collections::hash_map::RandomState,
    hash::BuildHasher,
    io::Write,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

pub use self::{
    postgres::Postgres,
    redis::{Cluster, Redis},
};

/// A server in a directory of its own. It ends when this is dropped, and also when the process of
/// the tests ends in any other way: a shell waits for the end of its input.
#[derive(Debug)]
struct Server {
    shell: Child,
    input: Option<ChildStdin>,
    pid: u32,
    port: u16,
    directory: PathBuf,
}

/// `true` where a missing server is a failure and not a reason to skip.
fn required() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| value != "0" && !value.is_empty());
    set("CI") || set("TOWER_RESPONSES_REAL_SERVERS")
}

/// Where the program is, or `None` if the tests that need it are to be skipped.
fn program(name: &str, directories: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(directories.iter().map(PathBuf::from))
        .map(|directory| directory.join(name))
        .find(|program| program.is_file());
    if found.is_none() {
        assert!(!required(), "{name} is not installed, and these tests are required here");
        eprintln!("skipped: {name} is not installed");
    }
    found
}

/// Where the program is, if it is on the `PATH`.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|program| program.is_file())
}

/// A number that no other test has.
fn unique() -> u64 {
    RandomState::new().hash_one(())
}

/// A port that a server can listen on, and whose server can be started there again: below those
/// that systems give to connections, which take a port while its server is away. The port that is
/// 10,000 higher, where a Redis Cluster has its bus, is free too.
fn free_port() -> u16 {
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
    loop {
        let port = 12_000 + u16::try_from(unique() % 10_000).unwrap();
        if free(port) && free(port + 10_000) {
            return port;
        }
    }
}

/// A new directory that anybody may enter. It goes when this is dropped, and also when the
/// process ends in any other way.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    shell: Child,
}

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tower-responses-{name}-{:016x}", unique()));
        std::fs::create_dir(&path).unwrap();
        let shell = Command::new("sh")
            .args(["-c", r#"cat >/dev/null; sleep 0.5; rm -rf "$D""#])
            .env("D", &path)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Self { path, shell }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}

impl Server {
    /// Runs the command, which must stay in the foreground, and waits for its port.
    fn start(command: &[String], port: u16, directory: &Path) -> Self {
        let script = r#""$@" >>"$D/log" 2>&1 & echo $!; cat >/dev/null; kill -9 $! 2>/dev/null; wait"#;
        let mut shell = Command::new("sh")
            .args(["-c", script, "sh"])
            .args(command)
            .env("D", directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(shell.stdout.take().unwrap()), &mut line).unwrap();
        let input = shell.stdin.take();
        let server = Self { shell, input, pid: line.trim().parse().unwrap(), port, directory: directory.to_owned() };
        server.wait_for_port();
        server
    }

    fn wait_for_port(&self) {
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let log = || std::fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(20), "the server does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal, such as `KILL` or `STOP`.
    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args(["-s", signal, &self.pid.to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut input) = self.input.take() {
            let _ = input.flush();
        }
        let _ = self.shell.wait();
    }
}

/// Makes a certificate for this machine, `cert.pem` with `key.pem`, and what has signed it, `ca.pem`.
fn certify(directory: &Path) {
    let script = r#"cd "$0" && exec 2>&1 \
        && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.pem \
        && openssl req -newkey rsa:2048 -nodes -subj /CN=test -keyout key.pem -out request.pem \
        && printf 'subjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n' >extensions \
        && openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile extensions -out cert.pem \
        && chmod 600 key.pem"#;
    let output = Command::new("sh").args(["-c", script]).arg(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
