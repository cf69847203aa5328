//! Real servers, started for the tests and stopped with them.
#![allow(dead_code, clippy::unwrap_used)]

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

/// A server in a directory of its own. It ends when this is dropped, and also when the process of
/// the tests ends in any other way: a shell waits for the end of its input.
#[derive(Debug)]
pub(crate) struct Server {
    shell: Child,
    input: Option<ChildStdin>,
    pid: u32,
    pub(crate) port: u16,
    directory: PathBuf,
}

/// `true` where a missing server is a failure and not a reason to skip.
fn required() -> bool {
    let set = |name| std::env::var_os(name).is_some_and(|value| value != "0" && !value.is_empty());
    set("CI") || set("TOWER_RESPONSES_REAL_SERVERS")
}

/// Where the program is, or `None` if the tests that need it are to be skipped.
pub(crate) fn program(name: &str, directories: &[&str]) -> Option<PathBuf> {
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

pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A new directory that anybody may enter.
pub(crate) fn directory(name: &str) -> PathBuf {
    let unique = format!("tower-responses-{name}-{}-{}", std::process::id(), free_port());
    let directory = std::env::temp_dir().join(unique);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

impl Server {
    /// Runs the command, which must stay in the foreground, and waits for its port.
    pub(crate) fn start(command: &[String], port: u16, directory: &Path, remove: bool) -> Self {
        let removal = if remove { r#"rm -rf "$D""# } else { ":" };
        let script =
            format!(r#""$@" >>"$D/log" 2>&1 & echo $!; cat >/dev/null; kill -9 $! 2>/dev/null; wait; {removal}"#);
        let mut shell = Command::new("sh")
            .args(["-c", &script, "sh"])
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
    pub(crate) fn signal(&self, signal: &str) {
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

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// A PostgreSQL server whose data stay when it is stopped.
#[derive(Debug)]
pub(crate) struct Postgres {
    command: Vec<String>,
    directory: PathBuf,
    port: u16,
    server: Option<Server>,
}

const POSTGRES: [&str; 4] = [
    "/usr/lib/postgresql/18/bin",
    "/usr/lib/postgresql/17/bin",
    "/usr/lib/postgresql/16/bin",
    "/usr/lib/postgresql/15/bin",
];

impl Postgres {
    pub(crate) fn start() -> Option<Self> {
        let (initdb, postgres) = (program("initdb", &POSTGRES)?, program("postgres", &POSTGRES)?);
        let directory = directory("postgres");
        let data = directory.join("data");
        let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
        // It refuses to run as root.
        let mut command = Vec::new();
        if is_root {
            Command::new("chown").arg("postgres").arg(&directory).status().unwrap();
            command = strings(&["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]);
        }
        let mut init = command.clone();
        init.extend([initdb.display().to_string(), "-D".into(), data.display().to_string()]);
        init.extend(strings(&["-A", "trust", "-U", "test", "-N", "-E", "UTF8", "--locale=C"]));
        let output = Command::new(&init[0]).args(&init[1..]).current_dir(&directory).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let port = free_port();
        command.extend([postgres.display().to_string(), "-D".into(), data.display().to_string()]);
        command.extend(["-p".into(), port.to_string(), "-k".into(), directory.display().to_string()]);
        command.extend(strings(&["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=500"]));
        let mut postgres = Self { command, directory, port, server: None };
        postgres.restart();
        Some(postgres)
    }

    /// Starts it, again if need be.
    pub(crate) fn restart(&mut self) {
        self.server = None;
        let _ = std::fs::remove_file(self.directory.join("data/postmaster.pid"));
        self.server = Some(Server::start(&self.command, self.port, &self.directory, false));
        // It listens before it answers.
        let ready = || {
            let program = program("pg_isready", &POSTGRES).unwrap();
            let port = self.port.to_string();
            Command::new(program).args(["-q", "-h", "127.0.0.1", "-p", &port]).status().unwrap().success()
        };
        let start = Instant::now();
        while !ready() {
            assert!(start.elapsed() < Duration::from_secs(30), "PostgreSQL does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Stops it at once, with all its connections.
    pub(crate) fn kill(&mut self) {
        if let Some(server) = &self.server {
            server.signal("QUIT");
        }
        std::thread::sleep(Duration::from_millis(300));
        self.server = None;
    }

    /// The server itself.
    pub(crate) fn url(&self) -> String {
        format!("postgres://test@127.0.0.1:{}/postgres", self.port)
    }

    /// A schema of its own on the server, which has to be made.
    pub(crate) fn url_of_schema(&self, schema: &str) -> String {
        format!("{}?options=-c%20search_path%3D{schema}", self.url())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.server = None;
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}
