//! Accepts connections and serves them.

mod activity;
mod answer;
mod body;
mod connection;
mod connection_service;
mod limits;
mod patience;
mod protocols;
mod stream;
mod stream_tasks;

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http::{Request, Response};
use hyper::server::conn::http1::Builder;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tower_responses_core::{RequestBody, ResponseBody};
use tower_service::Service;

pub use self::limits::ConnectionLimits;
use self::{activity::Requests, answer::Served, connection::Connection, protocols::http1_builder};

/// Accepts connections and serves them, HTTP/1.1 and HTTP/2 without TLS alike.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    limits: ConnectionLimits,
    shutdown: watch::Receiver<bool>,
}

/// What the connections of a server have in common.
struct Accepting {
    /// Each connection holds a receiver.
    places: watch::Sender<()>,
    http1: Arc<Builder>,
    http2_requests: Arc<Requests>,
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

/// So many connections over the limit get an answer to `/health`, within this time.
const HEALTH_CONNECTIONS: usize = 32;
const HEALTH_TIME: Duration = Duration::from_secs(2);

impl Server {
    /// Listens.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn bind(address: &str) -> io::Result<(Self, Shutdown)> {
        let listener = TcpListener::bind(address).await?;
        let (sender, shutdown) = watch::channel(false);
        Ok((Self { listener, limits: ConnectionLimits::default(), shutdown }, Shutdown(sender)))
    }

    /// What clients may take.
    #[must_use]
    pub fn limits(self, limits: ConnectionLimits) -> Self {
        Self { limits, ..self }
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
        S: Service<Request<RequestBody>, Response = Response<ResponseBody>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        let all = Accepting {
            places: watch::Sender::new(()),
            http1: Arc::new(http1_builder(self.limits)),
            http2_requests: Arc::new(Requests::new(self.limits.connections)),
        };
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                _ = self.shutdown.wait_for(|ending| *ending) => break,
            };
            match accepted {
                Ok((stream, _)) => self.serve(stream, &all, &service),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        all.places.closed().await;
    }

    fn serve<S>(&self, stream: TcpStream, all: &Accepting, service: &S)
    where
        S: Service<Request<RequestBody>, Response = Response<ResponseBody>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
    {
        let over = all.places.receiver_count().checked_sub(self.limits.connections);
        let (served, http1) = match over {
            None => (Served::Everything, all.http1.clone()),
            Some(over) if over < HEALTH_CONNECTIONS => {
                let mut http1 = Builder::clone(&all.http1);
                http1.keep_alive(false);
                (Served::Health, Arc::new(http1))
            }
            Some(_) => return metrics::counter!("tower_responses_connections_refused_total").increment(1),
        };
        let (place, http2_requests) = (all.places.subscribe(), all.http2_requests.clone());
        let (limits, shutdown) = (self.limits, self.shutdown.clone());
        let connection = Connection { stream, place, served, http1, http2_requests, limits, shutdown };
        let connection = connection.serve(service.clone());
        match served {
            Served::Everything => drop(tokio::spawn(connection)),
            Served::Health => drop(tokio::spawn(timeout(HEALTH_TIME, Box::pin(connection)))),
        }
    }
}
