//! A gateway in 256 MB, and clients that mean it no good: it goes on answering others, stays within
//! its memory, and ends when it is told to.
//!
//! They come all at once for a minute, or for as long as `TOWER_RESPONSES_ABUSE_SECONDS` says:
//!
//! ```sh
//! TOWER_RESPONSES_ABUSE_SECONDS=300 cargo test --all-features --test abuse -- --ignored everything
//! cargo test --all-features --test abuse -- --ignored alone::pings
//! ```
//!
//! Memory is what the kernel says the process had at most (`VmHWM`); one that has more is killed.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod client;
mod kinds;
#[path = "../memory/lists.rs"]
mod lists;
mod process;
mod rig;
#[path = "../support/mod.rs"]
mod support;
mod upstream;
mod victim;

use kinds::Kind;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "it takes a minute, and all of the machine"]
async fn everything_at_once() {
    rig::run(Kind::ALL).await;
}

/// One kind of abuse, to see what it does.
mod alone {
    use super::{Kind, rig};

    macro_rules! alone {
        ($($name:ident: $kind:ident,)*) => {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            #[ignore = "everything_at_once has it too"]
            async fn $name() {
                rig::run(&[Kind::$kind]).await;
            }
        )*};
    }

    alone! {
        lists: Lists,
        bombs: Bombs,
        calls: Calls,
        references: References,
        pings: Pings,
        stalled_bodies: StalledBodies,
        stalled_compressed_bodies: StalledCompressedBodies,
        one_byte: OneByte,
        half_heads: HalfHeads,
        silent_http2: SilentHttp2,
        unread_streams: UnreadStreams,
        unread_objects: UnreadObjects,
        uploads: Uploads,
    }
}
