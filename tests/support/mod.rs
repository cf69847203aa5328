//! Starts the gateway as its own process, in front of the scripted upstream.

#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

pub mod raw;

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::Value;

/// A gateway, killed when dropped.
pub struct Gateway {
    child: Child,
    pub url: String,
}

impl Gateway {
    /// Starts `tower-responses serve` with these arguments and waits until it listens.
    pub fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[])
    }

    /// The same, with these environment variables.
    pub fn start_with(args: &[&str], env: &[(&str, &str)]) -> Self {
        Self::spawn(Self::command(args).envs(env.iter().copied()))
    }

    /// The same, with the lines of its log.
    pub fn start_logged(args: &[&str]) -> (Self, Arc<Mutex<Vec<String>>>) {
        let mut gateway = Self::spawn(Self::command(args).stderr(Stdio::piped()));
        let log = Arc::<Mutex<Vec<String>>>::default();
        let (lines, read) = (BufReader::new(gateway.child.stderr.take().expect("its log")).lines(), log.clone());
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                read.lock().expect("nobody panics").push(line);
            }
        });
        (gateway, log)
    }

    fn command(args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tower-responses"));
        command.arg("serve").args(args);
        if !args.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        command
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().expect("the gateway starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let first = lines.next().expect("a line").expect("text");
        let url = first.strip_prefix("listening on ").unwrap_or_else(|| panic!("where it listens: {first}")).to_owned();
        // Nobody else reads its output: the pipe must not fill up.
        std::thread::spawn(move || lines.count());
        Self { child, url }
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends SIGTERM or another signal.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    /// Kills it, and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("it is there");
        self.child.wait().expect("a child");
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
        let until = std::time::Instant::now() + limit;
        while std::time::Instant::now() < until {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// The bytes that it had in memory at most.
    pub fn peak_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its status");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB")).expect("its peak");
        peak.trim().parse::<usize>().expect("a number") << 10
    }

    pub async fn post(&self, body: &Value) -> (u16, Value) {
        let request = Request::post(format!("{}/v1/responses", self.url)).header("content-type", "application/json");
        json(send(request.body(Full::from(body.to_string())).expect("a request")).await).await
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        json(send(Request::get(format!("{}{path}", self.url)).body(Full::default()).expect("a request")).await).await
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder that is removed when dropped.
pub struct TempDir(pub PathBuf);

impl TempDir {
    pub fn new() -> Self {
        let path = std::env::temp_dir().join(format!("tower-responses-{:016x}", rand::random::<u64>()));
        std::fs::create_dir(&path).expect("a folder");
        Self(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn client() -> Client<HttpConnector, Full<Bytes>> {
    Client::builder(TokioExecutor::new()).build_http()
}

pub async fn send(request: Request<Full<Bytes>>) -> Response<hyper::body::Incoming> {
    client().request(request).await.expect("an answer")
}

/// Status and JSON of a response.
pub async fn json(response: Response<hyper::body::Incoming>) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    #[allow(clippy::disallowed_methods, reason = "a test may parse what it pleases")]
    let value = serde_json::from_slice(&body).unwrap_or_else(|_| panic!("no JSON: {}", String::from_utf8_lossy(&body)));
    (status, value)
}
