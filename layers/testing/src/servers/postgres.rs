use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use super::{Directory, Server, certify, free_port, program, strings};

/// A PostgreSQL server whose data stay when it is stopped.
#[derive(Debug)]
pub struct Postgres {
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
    /// An empty server, or `None` if it is not installed.
    pub fn start() -> Option<Self> {
        Self::start_configured(false)
    }

    /// The same, with a certificate that nobody knows.
    pub fn start_with_tls() -> Option<Self> {
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
            certify(&directory);
            if is_root {
                Command::new("chown").arg("postgres").arg(directory.join("key.pem")).status().unwrap();
            }
            command.extend(["-c".into(), "ssl=on".into()]);
            command.extend(["-c".into(), format!("ssl_cert_file={}/cert.pem", directory.display())]);
            command.extend(["-c".into(), format!("ssl_key_file={}/key.pem", directory.display())]);
        }
        let mut postgres = Self { command, directory: held, port, server: None };
        postgres.restart();
        Some(postgres)
    }

    /// Starts it, again if need be.
    pub fn restart(&mut self) {
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

    /// Who has signed the certificate of [`start_with_tls`](Self::start_with_tls).
    pub fn authority(&self) -> PathBuf {
        self.directory.path.join("ca.pem")
    }

    /// Stops it at once, with all its connections.
    pub fn kill(&mut self) {
        if let Some(server) = &self.server {
            server.signal("QUIT");
        }
        std::thread::sleep(Duration::from_millis(300));
        self.server = None;
    }

    /// Lets it hang, with the processes that serve connections, or go on.
    pub fn pause(&self, hang: bool) {
        let signal = if hang { "STOP" } else { "CONT" };
        let Some(server) = &self.server else { return };
        let children = Command::new("pgrep").args(["-P", &server.pid.to_string()]).output().unwrap();
        for child in String::from_utf8_lossy(&children.stdout).lines() {
            Command::new("kill").args(["-s", signal, child]).status().unwrap();
        }
        server.signal(signal);
    }

    /// The server itself.
    pub fn url(&self) -> String {
        format!("postgres://test@127.0.0.1:{}/postgres", self.port)
    }

    /// A schema of its own on the server, which has to be made.
    pub fn url_of_schema(&self, schema: &str) -> String {
        format!("{}?options=-c%20search_path%3D{schema}", self.url())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.server = None;
    }
}
