use std::{net::SocketAddr, path::Path as FilePath, sync::Arc};

use bytes::Bytes;
use tower_responses::{
    gateway::{Gateway, Server, Settings, build},
    response_store::{self, ResponseStore},
    websocket::WebSocketLayer,
};

use crate::{answer::Model, client::Client, scenario::Scenario, server, stack::Stack};

/// What a request goes through.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Through {
    Stack,
    Gateway,
}

/// Where its response is kept.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Store {
    None,
    Memory,
    Sqlite,
}

pub(crate) const ROWS: &[(Through, &[Store])] = &[
    (Through::Stack, &[Store::None, Store::Memory, Store::Sqlite]),
    (Through::Gateway, &[Store::None, Store::Sqlite]),
];

impl Through {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stack => "stack",
            Self::Gateway => "gateway",
        }
    }
}

impl Store {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Memory => "memory",
            Self::Sqlite => "sqlite",
        }
    }

    /// A request that is not to be stored goes to a service that could do it.
    async fn open(self, folder: &FilePath) -> Arc<dyn ResponseStore> {
        let url = match self {
            Self::None | Self::Memory => "memory".to_owned(),
            Self::Sqlite => format!("sqlite:{}", folder.join("responses.db").display()),
        };
        response_store::open(&url).await.unwrap()
    }
}

/// The way of a request from a client to the model and back.
pub(crate) struct Path {
    kind: Kind,
    answer: Vec<u8>,
}

enum Kind {
    Stack(Box<Stack>),
    Socket(Client),
}

impl Path {
    pub(crate) async fn open(through: Through, scenario: &'static Scenario, store: Store, folder: &FilePath) -> Self {
        let request = Bytes::from(scenario.request(store).to_string());
        let passes = scenario.passes && store == Store::None;
        let model = Arc::new(Model::new(scenario, passes.then(|| request.clone())));
        let kind = match through {
            Through::Stack => Kind::Stack(Box::new(Stack::new(model, store.open(folder).await, request))),
            Through::Gateway => {
                let address = gateway(server::serve(model).await, store.open(folder).await).await;
                Kind::Socket(Client::connect(address, &request).await)
            }
        };
        Self { kind, answer: Vec::new() }
    }

    pub(crate) async fn exchange(&mut self) -> &[u8] {
        match &mut self.kind {
            Kind::Stack(stack) => stack.exchange(&mut self.answer).await,
            Kind::Socket(client) => client.exchange(&mut self.answer).await,
        }
        &self.answer
    }
}

/// The service and the server of the program.
async fn gateway(upstream: SocketAddr, store: Arc<dyn ResponseStore>) -> SocketAddr {
    let mut settings = Settings::default();
    settings.upstream.url = Some(format!("http://{upstream}"));
    let gateway = Gateway { store: Some(store), address: None, metrics: None, websocket: WebSocketLayer::new() };
    let service = build(&settings, gateway).unwrap();
    let (server, shutdown) = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    tokio::spawn(async move {
        let _until_the_end = shutdown;
        server.run(service).await;
    });
    address
}
