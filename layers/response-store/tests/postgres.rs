//! The PostgreSQL store, on a real server.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used)]

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use tower_responses_response_store::{ResponseStore, StoreOptions, open_with};
use tower_responses_testing::servers::Postgres;

/// One server for all tests, a schema for each.
fn server() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    SERVER.get_or_init(Postgres::start).as_ref()
}

async fn url() -> Option<String> {
    let server = server()?;
    let schema = std::thread::current().name().unwrap().replace("::", "_");
    let (client, connection) = tokio_postgres::connect(&server.url(), tokio_postgres::NoTls).await.unwrap();
    let connection = tokio::spawn(connection);
    client.batch_execute(&format!("CREATE SCHEMA {schema}")).await.unwrap();
    drop(client);
    connection.await.unwrap().unwrap();
    Some(server.url_of_schema(&schema))
}

async fn store(ttl: Duration) -> Option<Arc<dyn ResponseStore>> {
    Some(open_with(&url().await?, &StoreOptions::default().ttl(ttl)).await.unwrap())
}

tower_responses_response_store::store_conformance!(store);
