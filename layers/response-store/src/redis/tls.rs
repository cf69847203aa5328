//! Who may sign the servers' certificates.

use std::path::Path;

use redis::{Client, cluster::ClusterClientBuilder};

use super::connection::invalid;
use crate::{StoreError, StoreErrorKind};

fn refuse(message: String) -> StoreError {
    StoreError::new(StoreErrorKind::Configuration, format!("TLS to Redis: {message}"))
}

#[cfg(not(feature = "tls"))]
mod certificates {
    use super::{Client, ClusterClientBuilder, Path, StoreError, invalid, refuse};

    pub(in crate::redis) fn client(url: &str, roots: Option<&Path>) -> Result<Client, StoreError> {
        not_built_in(roots)?;
        Client::open(url).map_err(invalid)
    }

    pub(in crate::redis) fn with_roots(
        builder: ClusterClientBuilder,
        roots: Option<&Path>,
    ) -> Result<ClusterClientBuilder, StoreError> {
        not_built_in(roots)?;
        Ok(builder)
    }

    fn not_built_in(roots: Option<&Path>) -> Result<(), StoreError> {
        roots.map_or(Ok(()), |_| Err(refuse("it is not built into this program".to_owned())))
    }
}

#[cfg(feature = "tls")]
mod certificates {
    use redis::TlsCertificates;

    use super::{Client, ClusterClientBuilder, Path, StoreError, invalid, refuse};

    pub(in crate::redis) fn client(url: &str, roots: Option<&Path>) -> Result<Client, StoreError> {
        match roots {
            None => Client::open(url).map_err(invalid),
            Some(path) => Client::build_with_tls(url, read(path)?).map_err(invalid),
        }
    }

    pub(in crate::redis) fn with_roots(
        builder: ClusterClientBuilder,
        roots: Option<&Path>,
    ) -> Result<ClusterClientBuilder, StoreError> {
        Ok(match roots {
            None => builder,
            Some(path) => builder.certs(read(path)?),
        })
    }

    fn read(path: &Path) -> Result<TlsCertificates, StoreError> {
        let unreadable = |error| refuse(format!("{} cannot be read", path.display())).with_source(error);
        Ok(TlsCertificates { client_tls: None, root_cert: Some(std::fs::read(path).map_err(unreadable)?) })
    }
}

pub(super) use self::certificates::{client, with_roots};
