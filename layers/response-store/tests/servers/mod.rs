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

/// A new directory that anybody may enter. It goes when this is dropped, and also when the
/// process ends in any other way.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(crate) path: PathBuf,
    shell: Child,
}

impl Directory {
    pub(crate) fn new(name: &str) -> Self {
        let unique = format!("tower-responses-{name}-{}-{}", std::process::id(), free_port());
        let path = std::env::temp_dir().join(unique);
        std::fs::create_dir_all(&path).unwrap();
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
    pub(crate) fn start(command: &[String], port: u16, directory: &Path) -> Self {
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
    directory: Directory,
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
        Self::start_configured(false)
    }

    /// With a certificate that it has signed itself.
    pub(crate) fn start_with_tls() -> Option<Self> {
        program("openssl", &[])?;
        Self::start_configured(true)
    }

    fn start_configured(tls: bool) -> Option<Self> {
        let (initdb, postgres) = (program("initdb", &POSTGRES)?, program("postgres", &POSTGRES)?);
        let held = Directory::new("postgres");
        let directory = held.path.clone();
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
        if tls {
            let script = r#"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test \
                -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=IP:127.0.0.1 \
                -keyout "$0/key.pem" -out "$0/cert.pem" && chmod 600 "$0/key.pem" \
                && { [ "$(id -u)" != 0 ] || chown postgres "$0/key.pem" "$0/cert.pem"; }"#;
            let output = Command::new("sh").args(["-c", script]).arg(&directory).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            command.extend(["-c".into(), "ssl=on".into()]);
            command.extend(["-c".into(), format!("ssl_cert_file={}/cert.pem", directory.display())]);
            command.extend(["-c".into(), format!("ssl_key_file={}/key.pem", directory.display())]);
        }
        let mut postgres = Self { command, directory: held, port, server: None };
        postgres.restart();
        Some(postgres)
    }

    /// Starts it, again if need be.
    pub(crate) fn restart(&mut self) {
        self.server = None;
        let _ = std::fs::remove_file(self.directory.path.join("data/postmaster.pid"));
        self.server = Some(Server::start(&self.command, self.port, &self.directory.path));
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

    /// What [`start_with_tls`](Self::start_with_tls) has signed.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.directory.path.join("cert.pem")
    }

    /// Stops it at once, with all its connections.
    pub(crate) fn kill(&mut self) {
        if let Some(server) = &self.server {
            server.signal("QUIT");
        }
        std::thread::sleep(Duration::from_millis(300));
        self.server = None;
    }

    /// Lets it hang, with the processes that serve connections, or go on.
    pub(crate) fn pause(&self, hang: bool) {
        let signal = if hang { "STOP" } else { "CONT" };
        let Some(server) = &self.server else { return };
        let children = Command::new("pgrep").args(["-P", &server.pid.to_string()]).output().unwrap();
        for child in String::from_utf8_lossy(&children.stdout).lines() {
            Command::new("kill").args(["-s", signal, child]).status().unwrap();
        }
        server.signal(signal);
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
    }
}

/// A Redis or Valkey server that writes every change to its disk.
#[derive(Debug)]
pub(crate) struct Redis {
    command: Vec<String>,
    directory: Directory,
    pub(crate) port: u16,
    server: Option<Server>,
}

impl Redis {
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    fn start_with(more: &[&str]) -> Option<Self> {
        let program = ["valkey-server", "redis-server"].into_iter().find_map(installed);
        let program = program.or_else(|| self::program("redis-server", &[]))?;
        let (directory, port) = (Directory::new("redis"), free_port_for_cluster());
        let mut command = vec![program.display().to_string(), "--port".to_owned(), port.to_string()];
        command.extend(["--dir".to_owned(), directory.path.display().to_string()]);
        let options = ["--bind", "127.0.0.1", "--appendonly", "yes", "--appendfsync", "always", "--save", ""];
        command.extend(strings(&options));
        command.extend(strings(more));
        let mut redis = Self { command, directory, port, server: None };
        redis.restart();
        Some(redis)
    }

    /// Starts it, again if need be.
    pub(crate) fn restart(&mut self) {
        self.server = None;
        self.server = Some(Server::start(&self.command, self.port, &self.directory.path));
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.server = None;
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.server = None;
    }
}

/// Where the program is, if it is anywhere.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|program| program.is_file())
}

/// The bus of a Cluster has the port that is 10,000 higher.
fn free_port_for_cluster() -> u16 {
    loop {
        let port = free_port();
        if port < 55_000 && TcpListener::bind(("127.0.0.1", port + 10_000)).is_ok() {
            return port;
        }
    }
}

/// A Cluster of three primaries with a replica each.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Redis>,
}

impl Cluster {
    pub(crate) fn start() -> Option<Self> {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
        let nodes = (0..6).map(|_| Redis::start_with(&options)).collect::<Option<Vec<_>>>()?;
        let client =
            ["valkey-cli", "redis-cli"].into_iter().find_map(installed).or_else(|| program("redis-cli", &[]))?;
        let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        let output = Command::new(&client)
            .args(["--cluster", "create"])
            .args(addresses)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let cluster = Self { nodes };
        cluster.wait(&client);
        Some(cluster)
    }

    /// Until all nodes know each other and each replica has its primary's data.
    fn wait(&self, client: &Path) {
        let start = Instant::now();
        let ask = |port: u16, command: &[&str]| {
            let output = Command::new(client).args(["-p", &port.to_string()]).args(command).output().unwrap();
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let ready = |port: u16| {
            ask(port, &["cluster", "info"]).contains("cluster_state:ok")
                && ask(port, &["cluster", "nodes"]).matches(" slave ").count()
                    + usize::from(ask(port, &["cluster", "nodes"]).contains("myself,slave"))
                    == 3
                && (!ask(port, &["info", "replication"]).contains("role:slave")
                    || ask(port, &["info", "replication"]).contains("master_link_status:up"))
        };
        while !self.nodes.iter().all(|node| ready(node.port)) {
            assert!(start.elapsed() < Duration::from_secs(30), "the Cluster does not come up");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub(crate) fn url(&self) -> String {
        let hosts: Vec<_> = self.nodes.iter().take(3).map(|node| format!("127.0.0.1:{}", node.port)).collect();
        format!("redis-cluster://{}", hosts.join(","))
    }
}
