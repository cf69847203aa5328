use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

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
use tower_responses_core::{BoxError, ResponseBody};
use tower_service::Service;

use super::{
    connection_service::ConnectionService,
    protocols::{Protocols, is_http1},
};

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
                    let (protocols, watcher) = (protocols.clone(), graceful.watcher());
                    let connection = Connection { stream, protocols, watcher, shutdown: self.shutdown.clone() };
                    tokio::spawn(connection.serve(service.clone()));
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
    /// The server ends when all of these have gone.
    watcher: Watcher,
    shutdown: watch::Receiver<bool>,
}

impl Connection {
    async fn serve<S>(mut self, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        // Events are small and each matters by itself.
        if let Err(error) = self.stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY could not be set");
        }
        let is_http1 = tokio::select! {
            is_http1 = is_http1(&self.stream) => is_http1,
            _ = self.shutdown.wait_for(|ending| *ending) => return,
        };
        let service = ConnectionService::new(service);
        let ended = match is_http1 {
            Ok(true) => self.http1(service).await.map_err(BoxError::from),
            Ok(false) => {
                let (stream, http) = (TokioIo::new(self.stream), &self.protocols.other);
                let connection = http.serve_connection_with_upgrades(stream, service).into_owned();
                Box::pin(self.watcher.watch(connection)).await
            }
            Err(error) => Err(error.into()),
        };
        if let Err(error) = ended {
            tracing::debug!(error, "a connection ended with an error");
        }
    }

    async fn http1<S>(mut self, service: ConnectionService<S>) -> hyper::Result<()>
    where
        S: Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        let mut connection = self.protocols.http1.serve_connection(TokioIo::new(self.stream), service).with_upgrades();
        let mut shutdown = pin!(self.shutdown.wait_for(|ending| *ending));
        let mut is_ending = false;
        poll_fn(|cx| {
            if !is_ending && shutdown.as_mut().poll(cx).is_ready() {
                is_ending = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
            Pin::new(&mut connection).poll(cx)
        })
        .await
    }
}
