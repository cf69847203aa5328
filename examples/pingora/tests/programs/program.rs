use std::{
    net::{SocketAddr, TcpListener},
    process::Stdio,
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, sleep},
};

pub const SERVER_APP: &str = env!("CARGO_BIN_EXE_server_app");
pub const PROGRAMS: [&str; 2] = [SERVER_APP, env!("CARGO_BIN_EXE_proxy_filter")];

/// A program that runs until it is dropped.
pub struct Program {
    address: SocketAddr,
    _process: Child,
}

impl Program {
    /// Starts it, and waits until it takes connections.
    pub async fn start(program: &str, upstream: String) -> Self {
        let address = free_address();
        let mut process = Command::new(program)
            .args(["--listen", &address.to_string(), "--upstream", &upstream])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let started = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "{program} does not listen");
            assert!(process.try_wait().unwrap().is_none(), "{program} has ended");
            sleep(Duration::from_millis(20)).await;
        }
        Self { address, _process: process }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// An address that nobody listens on, and that no other test gets: below the ports that the system
/// hands out to connections.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = 20_000 + u16::try_from(std::process::id() % 100).unwrap() * 100;
    loop {
        let port = first + NEXT.fetch_add(1, Ordering::Relaxed);
        if let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) {
            return listener.local_addr().unwrap();
        }
    }
}
