//! One server or a Cluster.

use std::fmt;

use futures_util::future::try_join_all;
use redis::{
    Cmd, FromRedisValue, RedisError, RedisResult, ScriptInvocation, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
    cluster::ClusterClientBuilder,
    cluster_async::ClusterConnection,
    cluster_routing::{MultipleNodeRoutingInfo, Route, RoutingInfo, SingleNodeRoutingInfo, SlotAddr},
};

use super::{RedisOptions, tls};
use crate::{StoreError, StoreErrorKind};

/// Many requests share a connection, which is made anew when it breaks.
#[derive(Clone)]
pub(super) enum Connection {
    Single(ConnectionManager),
    Cluster(ClusterConnection),
}

/// A node of a Cluster, or the one server.
pub(super) type Node = Option<(String, u16)>;

impl Connection {
    pub(super) async fn open(url: &str, options: &RedisOptions) -> Result<Self, StoreError> {
        let (timeout, each) = (options.timeout, options.timeout / 2);
        if let Some(nodes) = nodes(url) {
            let client = ClusterClientBuilder::new(nodes)
                .connection_timeout(each)
                .response_timeout(timeout)
                .retries(8)
                .min_retry_wait(20)
                .max_retry_wait(500);
            let client = tls::with_roots(client, options.roots.as_deref())?.build().map_err(invalid)?;
            return Ok(Self::Cluster(client.get_async_connection().await?));
        }
        let client = tls::client(url, options.roots.as_deref())?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(each))
            .set_response_timeout(Some(timeout))
            .set_number_of_retries(2);
        Ok(Self::Single(ConnectionManager::new_with_config(client, config).await?))
    }

    pub(super) async fn script<T: FromRedisValue>(&self, call: &ScriptInvocation<'_>) -> Result<T, StoreError> {
        // Cheap: both are handles.
        Ok(match self.clone() {
            Self::Single(mut connection) => call.invoke_async(&mut connection).await?,
            Self::Cluster(mut connection) => call.invoke_async(&mut connection).await?,
        })
    }

    pub(super) async fn command<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreError> {
        Ok(match self.clone() {
            Self::Single(mut connection) => command.query_async(&mut connection).await?,
            Self::Cluster(mut connection) => command.query_async(&mut connection).await?,
        })
    }

    /// Sends a command that names no key to the server that has this one.
    pub(super) async fn command_at(&self, key: &str, command: &Cmd) -> Result<Value, StoreError> {
        let route = SingleNodeRoutingInfo::SpecificNode(Route::with_key(key, SlotAddr::Master));
        Ok(match self.clone() {
            Self::Single(mut connection) => command.query_async(&mut connection).await?,
            Self::Cluster(mut connection) => {
                connection.route_command(command.clone(), RoutingInfo::SingleNode(route)).await?
            }
        })
    }

    /// Sends all at once, in one round trip.
    pub(super) async fn all(&self, commands: Vec<Cmd>) -> Result<(), StoreError> {
        try_join_all(commands.iter().map(|command| self.command::<Value>(command))).await?;
        Ok(())
    }

    /// The nodes that have keys.
    pub(super) async fn primaries(&self) -> Result<Vec<Node>, StoreError> {
        let Self::Cluster(mut connection) = self.clone() else { return Ok(vec![None]) };
        let all = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
        let answers = connection.route_command(redis::cmd("PING"), all).await?;
        let Value::Map(answers) = answers else { return Err(StoreError::unavailable("Redis names no nodes")) };
        let node = |name: &Value| {
            let name = String::from_redis_value_ref(name).ok()?;
            let (host, port) = name.rsplit_once(':')?;
            Some((host.trim_matches(['[', ']']).to_owned(), port.parse().ok()?))
        };
        Ok(answers.iter().filter_map(|(name, _)| node(name)).map(Some).collect())
    }

    /// Asks one node.
    pub(super) async fn ask(&self, node: &Node, command: &Cmd) -> Result<Value, StoreError> {
        let answer: RedisResult<Value> = match (self.clone(), node) {
            (Self::Cluster(mut connection), Some((host, port))) => {
                let routing = SingleNodeRoutingInfo::ByAddress { host: host.clone(), port: *port };
                connection.route_command(command.clone(), RoutingInfo::SingleNode(routing)).await
            }
            (Self::Cluster(mut connection), None) => command.query_async(&mut connection).await,
            (Self::Single(mut connection), _) => command.query_async(&mut connection).await,
        };
        Ok(answer?)
    }
}

pub(super) fn invalid(error: RedisError) -> StoreError {
    StoreError::new(StoreErrorKind::Configuration, "the Redis URL").with_source(error)
}

/// The URLs of the nodes that a URL of a Cluster names; `None` for one of a single server.
fn nodes(url: &str) -> Option<Vec<String>> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = match scheme {
        "redis-cluster" => "redis",
        "rediss-cluster" => "rediss",
        _ => return None,
    };
    let (user, hosts) = rest.rsplit_once('@').map_or(("", rest), |(user, hosts)| (user, hosts));
    let at = if user.is_empty() { "" } else { "@" };
    let hosts = hosts.trim_end_matches('/').split(',');
    Some(hosts.map(|host| format!("{scheme}://{user}{at}{host}")).collect())
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        let corrupt = error.code() == Some("CORRUPT");
        let error_of = if corrupt { Self::corrupt } else { Self::unavailable };
        error_of("Redis").with_source(error)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Single(_) => "Single",
            Self::Cluster(_) => "Cluster",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::nodes;

    #[test]
    fn a_cluster_is_named_by_some_of_its_nodes() {
        assert_eq!(nodes("redis://a:1"), None);
        assert_eq!(nodes("redis-cluster://a:1,b:2/").unwrap(), ["redis://a:1", "redis://b:2"]);
        assert_eq!(nodes("rediss-cluster://u:p@a:1,b").unwrap(), ["rediss://u:p@a:1", "rediss://u:p@b"]);
    }
}
