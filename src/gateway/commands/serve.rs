use std::{io, process::ExitCode, sync::Arc, time::Duration};

use super::http::say;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    BoxError,
    demo::{Model, Upstream as DemoUpstream},
    gateway::{
        ConfigError, ConnectionLimits, Server, Settings, Shutdown, build,
        cli::ServeArgs,
        config::default_store,
        cors,
        service::{Gateway, build_admin},
        telemetry::{install_log, install_metrics, keep_up},
    },
    response_store::{self, ResponseStore},
    shown,
    websocket::{Connections, WebSocketLayer},
};

/// For answers in flight to end after SIGTERM. Then what is left is cut.
const GRACE: Duration = Duration::from_secs(30);

/// Where the gateway listens unless it is told otherwise.
const LISTEN: &str = "127.0.0.1:8080";

pub(in crate::gateway) async fn run(args: ServeArgs) -> Result<ExitCode, BoxError> {
    let mut settings = Settings::from_args(&args)?;
    if args.print_config {
        settings.listen.get_or_insert_with(|| LISTEN.to_owned());
        settings.store.get_or_insert_with(default_store);
        say(&format!(
            "# What is left out has its default, as examples/tower-responses.toml shows.\n{}",
            settings.to_toml()
        ))?;
        return Ok(ExitCode::SUCCESS);
    }
    let _log = install_log(settings.log_format.as_deref())?;
    let demo = match settings.upstream.url {
        Some(_) => None,
        None => Some(demo_upstream(&mut settings).await?),
    };
    let running = Running::start(&settings).await?;
    let upstream = settings.upstream.url.as_deref().unwrap_or_default();
    let which = if demo.is_some() { " (built-in demo)" } else { "" };
    let (upstream, store) = (shown::url(upstream), &running.store_name);
    let admin = running.admin.as_ref().map(|admin| format!("admin        http://{}\n", admin.address));
    say(&format!(
        "listening on http://{}\nupstream     {upstream}{which}\nstore        {store}\n{}",
        running.address,
        admin.unwrap_or_default()
    ))?;
    terminated().await?;
    tracing::info!("ending: what is being answered is answered");
    running.end(GRACE).await;
    Ok(ExitCode::SUCCESS)
}

async fn demo_upstream(settings: &mut Settings) -> Result<DemoUpstream, BoxError> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let demo = DemoUpstream::start(listener, Model::obedient())?;
    settings.upstream.url = Some(demo.url());
    Ok(demo)
}

/// SIGTERM or SIGINT.
async fn terminated() -> Result<(), BoxError> {
    let mut term = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// A gateway that serves.
pub(in crate::gateway) struct Running {
    pub(in crate::gateway) address: std::net::SocketAddr,
    pub(in crate::gateway) store_name: String,
    shutdown: Shutdown,
    served: tokio::task::JoinHandle<()>,
    admin: Option<AdminListener>,
    store: Option<Arc<dyn ResponseStore>>,
    websocket: Connections,
}

/// A listener for those who run the gateway. It ends when it is dropped.
struct AdminListener {
    address: std::net::SocketAddr,
    _shutdown: Shutdown,
}

impl AdminListener {
    async fn start(listen: &str, settings: &Settings, gateway: &Gateway) -> Result<Self, BoxError> {
        let (server, shutdown) = bind(listen).await?;
        let address = server.local_addr()?;
        tokio::spawn(server.run(build_admin(settings, gateway, address)?));
        Ok(Self { address, _shutdown: shutdown })
    }
}

async fn bind(listen: &str) -> Result<(Server, Shutdown), ConfigError> {
    let bound = Server::bind(listen).await;
    bound.map_err(|error| ConfigError::new(format!("cannot listen on {listen}: {}", why(&error))))
}

impl Running {
    pub(in crate::gateway) async fn start(settings: &Settings) -> Result<Self, BoxError> {
        let store_url = settings.store_url()?;
        let store = open_store(settings, &store_url).await?;
        let websocket = websocket(settings);
        let limits = ConnectionLimits::new(&settings.limits)?;
        let (server, shutdown) = bind(settings.listen.as_deref().unwrap_or(LISTEN)).await?;
        let address = server.local_addr()?;
        let metrics = install_metrics();
        if let Some(metrics) = &metrics {
            tokio::spawn(keep_up(metrics.clone()));
        }
        let gateway = Gateway { store: store.clone(), address: Some(address), metrics, websocket: websocket.clone() };
        let admin = match &settings.admin_listen {
            Some(listen) => Some(AdminListener::start(listen, settings, &gateway).await?),
            None => None,
        };
        let served = tokio::spawn(server.limits(limits).run(build(settings, gateway)?));
        let (websocket, store_name) = (websocket.connections(), shown::url(&store_url));
        Ok(Self { address, store_name, shutdown, served, admin, store, websocket })
    }

    /// Ends: answers in flight first, then the store.
    pub(in crate::gateway) async fn end(self, grace: Duration) {
        self.shutdown.begin();
        let ended = async {
            self.websocket.close();
            self.websocket.closed().await;
            let _ = self.served.await;
        };
        if tokio::time::timeout(grace, ended).await.is_err() {
            tracing::warn!("some answers were still in flight and are cut");
        }
        if let Some(store) = self.store
            && let Err(error) = store.flush().await
        {
            tracing::error!(%error, "the store could not be flushed");
        }
    }
}

/// Why an address cannot be had, and what to do about it.
fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "it is in use (--listen names another address, port 0 takes a free one)".into(),
        io::ErrorKind::InvalidInput => "it has to be an address with a port, such as 127.0.0.1:8080".into(),
        _ => error.to_string(),
    }
}

fn websocket(settings: &Settings) -> WebSocketLayer {
    if settings.websocket == Some(false) {
        return WebSocketLayer::disabled();
    }
    let mut layer = WebSocketLayer::new().max_connections(settings.limits.websocket_connections.unwrap_or(10_000));
    if let Some(bytes) = settings.limits.request_bytes {
        layer = layer.max_frame(bytes);
    }
    if let Some(idle) = settings.limits.websocket_idle.and_then(|idle| Duration::try_from_secs_f64(idle).ok()) {
        layer = layer.idle_timeout(idle);
    }
    cors::websocket(layer, settings)
}

/// The store of this URL; `None` for `none`.
async fn open_store(settings: &Settings, url: &str) -> Result<Option<Arc<dyn ResponseStore>>, BoxError> {
    if url == "none" {
        return Ok(None);
    }
    let mut options = response_store::StoreOptions::default();
    if let Some(days) = settings.retention.days {
        options.ttl = retention("retention.days", days)?;
    }
    Ok(Some(response_store::open_with(url, &options).await?))
}

/// So many days, of which 0 are for ever.
pub(in crate::gateway) fn retention(name: &str, days: f64) -> Result<Duration, ConfigError> {
    match Duration::try_from_secs_f64(days * 86_400.0) {
        Ok(_) if days == 0.0 => Ok(Duration::MAX),
        Ok(time) => Ok(time),
        Err(_) => Err(ConfigError::new(format!("{name}: {days} is no number of days; 0 is for ever"))),
    }
}

#[cfg(test)]
mod tests;
