use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use futures_util::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::TokioIo,
    server::graceful::{GracefulShutdown, Watcher},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tower_responses_core::ResponseBody;
use tower_service::Service;

use super::{connection_service::ConnectionService, protocols::Protocols};

/// Accepts connections and serves them, HTTP/1.1 and HTTP/2 without TLS alike.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    shutdown: watch::Receiver<bool>,
}

/// Tells a [`Server`] to end. Dropping it does so too.
#[derive(Debug)]
pub struct Shutdown(watch::Sender<bool>);

impl Shutdown {
    /// No new connections; what is being answered is answered to its end.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }
}

/// After an error of `accept` that is not about one connection, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn bind(address: &str) -> io::Result<(Self, Shutdown)> {
        let listener = TcpListener::bind(address).await?;
        let (sender, shutdown) = watch::channel(false);
        Ok((Self { listener, shutdown }, Shutdown(sender)))
    }

    /// Where it listens, with the port that was taken.
    ///
    /// # Errors
    /// If the operating system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is told to end, and then until the last answer is out.
    pub async fn run<S>(mut self, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        let graceful = GracefulShutdown::new();
        let protocols = Arc::new(Protocols::new());
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = self.shutdown.wait_for(|ending| *ending) => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let connection = Connection { stream, protocols: protocols.clone(), watcher: graceful.watcher() };
                    tokio::spawn(connection.serve(service.clone(), self.shutdown.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        graceful.shutdown().await;
    }
}

/// A connection that was accepted, and has said nothing yet.
struct Connection {
    stream: TcpStream,
    protocols: Arc<Protocols>,
    watcher: Watcher,
}

impl Connection {
    async fn serve<S>(self, service: S, mut shutdown: watch::Receiver<bool>)
    where
        S: Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        let Self { stream, protocols, watcher } = self;
        // Events are small and each matters by itself.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let http = tokio::select! {
            http = protocols.of(&stream) => http,
            _ = shutdown.wait_for(|ending| *ending) => return,
        };
        let http = match http {
            Ok(http) => http,
            Err(error) => return tracing::debug!(%error, "a connection said nothing"),
        };
        let service = ConnectionService::new(service);
        // Awaited as it is made: a variable would hold it a second time.
        watcher
            .watch(http.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned())
            .map(|ended| {
                if let Err(error) = ended {
                    tracing::debug!(error, "a connection ended with an error");
                }
            })
            .await;
    }
}
