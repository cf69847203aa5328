use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::WebSocketLayer;

async fn pair(layer: WebSocketLayer) -> (Socket<DuplexStream>, WebSocketStream<DuplexStream>) {
    let (server, client) = duplex(1024);
    let socket = Socket::new(server, layer.config()).await;
    (socket, WebSocketStream::from_raw_socket(client, Role::Client, None).await)
}

#[tokio::test]
async fn work_goes_on_until_the_client_leaves() {
    let (mut socket, mut client) = pair(WebSocketLayer::new()).await;
    assert_eq!(socket.attend(async { 7 }).await, Ok(7));
    let leave = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        client.send(Message::text("read ahead")).await.unwrap();
        drop(client);
    };
    let (result, ()) = tokio::join!(socket.attend(std::future::pending::<()>()), leave);
    assert_eq!(result, Err(Gone));
}

#[tokio::test]
async fn what_is_sent_goes_out_while_there_is_nothing_else_to_do() {
    let (mut socket, mut client) = pair(WebSocketLayer::new()).await;
    let server = async {
        socket.send("one".into()).await.unwrap();
        socket.send("two".into()).await.unwrap();
        socket.attend(std::future::pending::<()>()).await
    };
    let reader = async {
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text("one"));
        assert_eq!(client.next().await.unwrap().unwrap(), Message::text("two"));
        drop(client);
    };
    assert_eq!(tokio::join!(server, reader).0, Err(Gone));
}

#[tokio::test]
async fn frames_beyond_the_bound_are_not_read_but_pings_show_who_is_there() {
    let (mut socket, mut client) = pair(WebSocketLayer::new().max_pipelined(2)).await;
    let writer = async {
        for number in 0..3 {
            client.send(Message::text(number.to_string())).await.unwrap();
        }
        assert_eq!(client.next().await.unwrap().unwrap(), Message::Ping(Bytes::new()));
        let begun = Instant::now();
        drop(client);
        begun
    };
    let (left, begun) = tokio::join!(socket.attend(std::future::pending::<()>()), writer);
    assert_eq!((left, socket.queue.len()), (Err(Gone), 2));
    assert!(begun.elapsed() < Duration::from_secs(1));
}

/// Pings as fast as it is read, and reads nothing itself. Tells how many pings were taken.
async fn ping(client: &mut WebSocketStream<DuplexStream>, pings: usize) -> usize {
    for taken in 0..pings {
        let ping = client.send(Message::Ping(Bytes::from_static(&[b'p'; 125])));
        if !matches!(timeout(STALLED * 2, ping).await, Ok(Ok(()))) {
            return taken;
        }
    }
    pings
}

#[tokio::test(start_paused = true)]
async fn pings_of_a_client_that_reads_nothing_are_held_up_and_end_its_connection() {
    for idle in [true, false] {
        let (mut socket, mut client) = pair(WebSocketLayer::new()).await;
        let begun = tokio::time::Instant::now();
        let serve = async {
            let served = async {
                if idle { socket.next().await.map(drop) } else { socket.attend(std::future::pending::<()>()).await }
            };
            let gone = timeout(STALLED * 10, served).await;
            let elapsed = begun.elapsed();
            drop(socket);
            (gone, elapsed)
        };
        let ((gone, elapsed), taken) = tokio::join!(serve, ping(&mut client, 10_000));
        assert_eq!(gone, Ok(Err(Gone)), "{taken} pings were taken");
        assert!(elapsed >= STALLED && elapsed < STALLED * 2, "{elapsed:?}");
        assert!(taken < 2 * MAX_ANSWERS, "{taken} pings were taken");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_may_ping_as_much_as_it_likes() {
    let (mut socket, client) = pair(WebSocketLayer::new()).await;
    let (mut sink, mut stream) = client.split();
    let pings = 4 * MAX_ANSWERS;
    let writer = async {
        for _ in 0..pings {
            sink.send(Message::Ping(Bytes::from_static(&[b'p'; 125]))).await.unwrap();
        }
        sink.send(Message::text("last")).await.unwrap();
    };
    let reader = async {
        let mut pongs = 0;
        while pongs < 2 * MAX_ANSWERS {
            // As many stand in what is read at once.
            tokio::time::sleep(STALLED / 16).await;
            pongs += usize::from(stream.next().await.unwrap().unwrap().is_pong());
        }
        while timeout(STALLED, stream.next()).await.is_ok() {}
    };
    let serve = async {
        let next = socket.next().await;
        socket.flush().await.unwrap();
        next
    };
    let (next, (), ()) = tokio::join!(serve, writer, async {
        tokio::select! {
            () = reader => {}
            () = tokio::time::sleep(STALLED * 1000) => panic!("it does not go on"),
        }
    });
    assert_eq!(next, Ok(Incoming::Text("last".into())));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_not_waited_for_at_the_end() {
    let (mut socket, _client) = pair(WebSocketLayer::new()).await;
    socket.send("x".repeat(100_000).into()).await.unwrap();
    let begun = tokio::time::Instant::now();
    assert_eq!(socket.send_last("bye".into()).await, Err(Gone));
    socket.close(Close::Idle).await;
    assert_eq!(begun.elapsed(), 2 * CLOSING);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_on_and_on_after_the_end_is_cut_off() {
    let (mut socket, mut client) = pair(WebSocketLayer::new()).await;
    socket.ended = true;
    let begun = tokio::time::Instant::now();
    let trickle = async {
        while client.get_mut().write_all(b"x").await.is_ok() {
            tokio::time::sleep(CLOSING / 2).await;
        }
    };
    tokio::join!(socket.close(Close::TooLarge), trickle);
    assert!(begun.elapsed() <= DISCARDING + CLOSING, "{:?}", begun.elapsed());
}

#[test]
fn text_is_sent_as_it_is_or_made_to_be_utf8() {
    assert_eq!(utf8("é".into()).as_str(), "é");
    assert_eq!(utf8(Bytes::from_static(b"a\xFF")).as_str(), "a\u{FFFD}");
}

/// The bytes that the read buffer and the write buffer of the library could give up can not be
/// seen, but a connection has to go on as if nothing had happened.
#[tokio::test]
async fn giving_up_the_buffers_loses_nothing() {
    let (mut socket, mut client) = pair(WebSocketLayer::new()).await;
    let texts: Vec<_> = [0, 1, 125, 126, 127, 65_535, 65_536, 100_000].map(|length| "x".repeat(length)).into();
    let writer = async {
        for text in &texts {
            client.send(Message::text(text.clone())).await.unwrap();
            client.send(Message::Ping("p".into())).await.unwrap();
        }
        // Several at once, which are read ahead.
        for _ in 0..2 {
            texts.iter().take(3).for_each(|text| {
                client.start_send_unpin(Message::text(text.clone())).unwrap();
            });
            client.flush().await.unwrap();
        }
        client
    };
    let reader = async {
        let mut shrunk = 0;
        for text in texts.iter().chain(&texts[..3]).chain(&texts[..3]) {
            assert_eq!(socket.next().await, Ok(Incoming::Text(Bytes::copy_from_slice(text.as_bytes()))));
            socket.flush().await.unwrap();
            shrunk += usize::from(socket.received == socket.websocket.get_ref().read());
            socket = socket.shrink().await;
        }
        shrunk
    };
    let (mut client, shrunk) = tokio::join!(writer, reader);
    assert!(shrunk > 4, "it was shrunk {shrunk} times");
    for _ in &texts {
        assert_eq!(client.next().await.unwrap().unwrap(), Message::Pong("p".into()));
    }
}
