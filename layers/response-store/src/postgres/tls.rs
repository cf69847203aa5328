//! TLS, if it was built in.

/// Takes `sslrootcert=PATH` out of the URL, which the driver does not know.
pub(super) fn take_roots(url: &str) -> (String, Option<String>) {
    let Some((head, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let mut roots = None;
    let kept: Vec<_> = query
        .split('&')
        .filter(|pair| match pair.strip_prefix("sslrootcert=") {
            Some(path) => {
                roots = Some(path.to_owned());
                false
            }
            None => true,
        })
        .collect();
    let mark = if kept.is_empty() { "" } else { "?" };
    (format!("{head}{mark}{}", kept.join("&")), roots)
}

#[cfg(not(feature = "tls"))]
mod connector {
    use tokio_postgres::NoTls;

    use crate::{StoreError, StoreErrorKind};

    pub(in crate::postgres) fn connector(roots: Option<&str>) -> Result<NoTls, StoreError> {
        match roots {
            None => Ok(NoTls),
            Some(_) => {
                Err(StoreError::new(StoreErrorKind::Configuration, "TLS to PostgreSQL is not built into this program"))
            }
        }
    }
}

#[cfg(feature = "tls")]
mod connector {
    use std::sync::Arc;

    use rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject},
    };
    use tokio_postgres_rustls::MakeRustlsConnect;

    use crate::{StoreError, StoreErrorKind};

    pub(in crate::postgres) fn connector(roots: Option<&str>) -> Result<MakeRustlsConnect, StoreError> {
        let refuse =
            |message: &str| StoreError::new(StoreErrorKind::Configuration, format!("TLS to PostgreSQL: {message}"));
        let mut store = RootCertStore::empty();
        match roots {
            None => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(path) => {
                let unreadable = |error| refuse(&format!("{path} cannot be read")).with_source(error);
                let certificates = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
                for certificate in certificates {
                    let added = store.add(certificate.map_err(unreadable)?);
                    added.map_err(|error| refuse(&format!("{path} holds no certificate")).with_source(error))?;
                }
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| refuse("no protocol").with_source(error))?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }
}

pub(super) use self::connector::connector;

#[cfg(test)]
mod tests {
    use super::take_roots;

    #[test]
    fn the_roots_are_taken_out_of_the_url() {
        for (url, left, roots) in [
            ("postgres://h/d", "postgres://h/d", None),
            ("postgres://h/d?sslmode=require", "postgres://h/d?sslmode=require", None),
            ("postgres://h/d?sslrootcert=/a.pem", "postgres://h/d", Some("/a.pem")),
            ("postgres://h/d?a=1&sslrootcert=/a&b=2", "postgres://h/d?a=1&b=2", Some("/a")),
        ] {
            assert_eq!(take_roots(url), (left.to_owned(), roots.map(str::to_owned)));
        }
    }
}
