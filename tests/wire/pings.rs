//! A client of a WebSocket that sends pings and reads nothing.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use crate::support::Gateway;

/// What is sent at most.
const SENT: usize = 64 << 20;
/// What the gateway may take for it. The sockets' own buffers are the system's.
const MEMORY: usize = 16 << 20;

/// The most memory that the gateway has ever taken, in bytes.
fn peak(gateway: &Gateway) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

fn connect(gateway: &Gateway) -> TcpStream {
    let address = gateway.url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let handshake = format!(
        "GET /v1/responses HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(handshake.as_bytes()).unwrap();
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
    stream
}

#[test]
#[cfg(target_os = "linux")]
fn pings_that_nobody_reads_the_answers_to_take_no_memory() {
    let gateway = Gateway::start(&["--store", "none"]);
    let mut client = connect(&gateway);
    client.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let before = peak(&gateway);
    // 125 bytes, with a mask of zeros.
    let ping = [&[0x89, 0x80 | 125, 0, 0, 0, 0][..], &[b'p'; 125]].concat();
    let pings = ping.repeat(1000);
    let mut sent = 0;
    while sent < SENT {
        match client.write(&pings[sent % pings.len()..]) {
            Ok(written) => sent += written,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => panic!("{error}"),
        }
    }
    let grown = peak(&gateway) - before;
    assert!(grown < MEMORY, "{grown} bytes for {sent} bytes of pings");
    assert!(sent < SENT, "all of them were taken");
}
