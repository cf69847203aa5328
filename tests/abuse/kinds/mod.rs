//! What is done to the gateway. Each kind is what one of several clients does, again and again.

mod bodies;
mod connections;
mod pings;
mod references;
mod unread;
mod uploads;

use crate::rig::Target;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Long lists of nothing in every place where lists are opened.
    Lists,
    /// A few hundred bytes of zstd that become far more than a request may have.
    Bombs,
    /// As many calls as a request can hold, then their outputs.
    Calls,
    /// Many references into one large turn.
    References,
    /// WebSocket pings of a client that reads no pong.
    Pings,
    /// Half a body.
    StalledBodies,
    /// Half a body, of which a little has become much.
    StalledCompressedBodies,
    /// Connections that say one byte.
    OneByte,
    /// Half a head.
    HalfHeads,
    /// The preface of HTTP/2, and nothing.
    SilentHttp2,
    /// Streams that nobody reads.
    UnreadStreams,
    /// Large answers that nobody reads.
    UnreadObjects,
    /// Bodies without an end, also compressed ones, on paths that are passed on.
    Uploads,
}

impl Kind {
    pub(crate) const ALL: &[Self] = &[
        Self::Lists,
        Self::Bombs,
        Self::Calls,
        Self::References,
        Self::Pings,
        Self::StalledBodies,
        Self::StalledCompressedBodies,
        Self::OneByte,
        Self::HalfHeads,
        Self::SilentHttp2,
        Self::UnreadStreams,
        Self::UnreadObjects,
        Self::Uploads,
    ];

    /// How many clients do it at once.
    pub(crate) fn clients(self) -> usize {
        match self {
            Self::Lists | Self::Uploads => 4,
            Self::Bombs | Self::Calls | Self::References => 2,
            Self::Pings | Self::UnreadObjects => 8,
            Self::StalledBodies | Self::StalledCompressedBodies => 16,
            // More than may be in flight.
            Self::UnreadStreams => 24,
            Self::OneByte | Self::HalfHeads | Self::SilentHttp2 => 100,
        }
    }

    /// Whether it has nothing that is being answered, so that the end need not wait for it.
    pub(crate) fn is_idle(self) -> bool {
        matches!(self, Self::OneByte | Self::HalfHeads | Self::SilentHttp2)
    }

    /// Does it once, as one of the clients.
    pub(crate) async fn act(self, target: &Target, client: usize, round: usize) {
        match self {
            Self::Lists => bodies::list(target, client, round).await,
            Self::Bombs => bodies::bomb(target).await,
            Self::Calls => bodies::calls(target, client).await,
            Self::References => references::into_one_turn(target).await,
            Self::Pings => pings::flood(target).await,
            Self::StalledBodies => connections::half_a_body(target).await,
            Self::StalledCompressedBodies => connections::half_a_compressed_body(target).await,
            Self::OneByte => connections::silence(target, b"G").await,
            Self::HalfHeads => {
                connections::silence(target, b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\nx-a: ").await
            }
            Self::SilentHttp2 => connections::silence(target, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await,
            Self::UnreadStreams => unread::stream(target).await,
            Self::UnreadObjects => unread::object(target).await,
            Self::Uploads => uploads::without_end(target, client).await,
        }
    }
}
