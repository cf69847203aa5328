use std::{path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

/// The gateway's own binary, running. It is killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    child: Child,
    url: String,
    // The gateway would fail to print once nobody reads.
    _output: Lines<BufReader<ChildStdout>>,
}

impl Gateway {
    /// Starts it on a free port in front of `upstream`.
    pub(crate) async fn start(folder: &Path, upstream: &str, more: &[String]) -> Self {
        let log = std::fs::File::create(folder.join("gateway.log")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_tower-responses"))
            .args(["serve", "--listen", "127.0.0.1:0", "--upstream", upstream])
            .arg("--store")
            .arg(format!("sqlite:{}", folder.join("responses.db").display()))
            .args(more)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = timeout(Duration::from_secs(20), async {
            while let Some(line) = output.next_line().await.unwrap() {
                if let Some(url) = line.split_whitespace().find(|word| word.starts_with("http://127.0.0.1:")) {
                    return url.trim_end_matches(['/', '.', ',']).trim_end_matches("/v1").to_owned();
                }
            }
            panic!("the gateway ended: {}", std::fs::read_to_string(folder.join("gateway.log")).unwrap());
        });
        let url = url.await.expect("the gateway says where it listens within 20 s");
        Self { child, url, _output: output }
    }

    /// Its root; the API is under `/v1`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Fails if it ended by itself.
    pub(crate) fn assert_alive(&mut self) {
        assert_eq!(self.child.try_wait().unwrap(), None, "the gateway ended during the run");
    }
}
