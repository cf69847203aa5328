use std::{convert::Infallible, io, net::SocketAddr, time::Duration};

use futures_util::FutureExt;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tower_responses_core::ResponseBody;
use tower_service::Service;

use super::connection_service::ConnectionService;

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

/// For the head of a request to arrive, so that idle halves of requests hold nothing for ever.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

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
        let mut http = Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = self.shutdown.wait_for(|ending| *ending) => break,
            };
            match accepted {
                Ok((stream, _)) => serve(stream, &http, service.clone(), &graceful),
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

fn serve<S>(stream: TcpStream, http: &Builder<TokioExecutor>, service: S, graceful: &GracefulShutdown)
where
    S: Service<Request<Incoming>, Response = Response<ResponseBody>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    // Events are small and each matters by itself.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let service = ConnectionService::new(service);
    let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), service).into_owned();
    let connection = graceful.watch(connection);
    // Not an async block, which would hold the connection twice.
    tokio::spawn(connection.map(|ended| {
        if let Err(error) = ended {
            tracing::debug!(error, "a connection ended with an error");
        }
    }));
}
