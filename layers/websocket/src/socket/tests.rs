use std::time::Instant;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{DuplexStream, duplex};

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

#[test]
fn text_is_sent_as_it_is_or_made_to_be_utf8() {
    assert_eq!(utf8("é".into()).as_str(), "é");
    assert_eq!(utf8(Bytes::from_static(b"a\xFF")).as_str(), "a\u{FFFD}");
}
