use std::{process::ExitCode, sync::Arc, time::Duration};

use super::http::say;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    BoxError,
    demo::{Model, Upstream as DemoUpstream},
    gateway::{
        ConfigError, Server, Settings, Shutdown, build,
        cli::ServeArgs,
        config::hide_password,
        cors,
        service::Gateway,
        telemetry::{install_log, install_metrics},
    },
    response_store::{self, ResponseStore},
    websocket::{Connections, WebSocketLayer},
};

/// For answers in flight to end after SIGTERM. Then what is left is cut.
const GRACE: Duration = Duration::from_secs(30);

pub(in crate::gateway) async fn run(args: ServeArgs) -> Result<ExitCode, BoxError> {
    let mut settings = Settings::from_args(&args)?;
    if args.print_config {
        print!("{}", settings.to_toml());
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
    let (upstream, store) = (hide_password(upstream), &running.store_name);
    say(&format!("listening on http://{}\nupstream     {upstream}{which}\nstore        {store}\n", running.address))?;
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
    store: Option<Arc<dyn ResponseStore>>,
    websocket: Connections,
}

impl Running {
    pub(in crate::gateway) async fn start(settings: &Settings) -> Result<Self, BoxError> {
        let store_url = settings.store_url()?;
        let store = open_store(settings, &store_url).await?;
        let websocket = websocket(settings);
        let gateway = Gateway { store: store.clone(), metrics: install_metrics(), websocket: websocket.clone() };
        let websocket = websocket.connections();
        let service = build(settings, gateway)?;
        let listen = settings.listen.as_deref().unwrap_or("127.0.0.1:8080");
        let (server, shutdown) = Server::bind(listen)
            .await
            .map_err(|error| ConfigError::new(format!("cannot listen on {listen}: {error}")))?;
        let address = server.local_addr()?;
        let served = tokio::spawn(server.run(service));
        Ok(Self { address, store_name: hide_password(&store_url), shutdown, served, store, websocket })
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
pub(in crate::gateway) async fn open_store(
    settings: &Settings,
    url: &str,
) -> Result<Option<Arc<dyn ResponseStore>>, BoxError> {
    if url == "none" {
        return Ok(None);
    }
    let mut options = response_store::StoreOptions::default();
    if let Some(days) = settings.retention.days {
        options.ttl = Duration::try_from_secs_f64(days * 86_400.0)
            .map_err(|_| ConfigError::new(format!("retention.days: {days} is no number of days")))?;
    }
    Ok(Some(response_store::open_with(url, &options).await?))
}
