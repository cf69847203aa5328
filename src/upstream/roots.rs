use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{
        CertificateDer,
        pem::{self, PemObject},
    },
};

/// Whose certificates an upstream may show.
///
/// Left alone, those that the system trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others. Where
/// there are none (an image without certificates), Mozilla's. They are read when the first upstream
/// with `https://` is made, once.
#[derive(Debug, Clone, Default)]
pub struct TrustedRoots {
    only: Option<Arc<RootCertStore>>,
}

impl TrustedRoots {
    /// Those of the system.
    pub fn system() -> Self {
        Self::default()
    }

    /// Those of a PEM file, and no others: a private authority.
    ///
    /// # Errors
    /// Where the file cannot be read, or has no certificate that can be a root.
    pub fn from_pem_file(path: impl AsRef<Path>) -> Result<Self, BadRoots> {
        let path = path.as_ref();
        let bad = |why: String| BadRoots { path: path.to_owned(), why };
        let mut store = RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| bad(reason(error)))? {
            let certificate = certificate.map_err(|error| bad(reason(error)))?;
            store.add(certificate).map_err(|error| bad(error.to_string()))?;
        }
        if store.is_empty() {
            return Err(bad("it has no certificate in PEM".to_owned()));
        }
        Ok(Self { only: Some(Arc::new(store)) })
    }

    /// For connections to an upstream; one without TLS needs no roots, and does not wait for them.
    pub(super) fn client_config(&self, tls: bool) -> ClientConfig {
        let store = match &self.only {
            _ if !tls => Arc::new(RootCertStore::empty()),
            Some(only) => only.clone(),
            None => SYSTEM.clone(),
        };
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring speaks the protocols that are the default")
            .with_root_certificates(store)
            .with_no_client_auth()
    }
}

static SYSTEM: LazyLock<Arc<RootCertStore>> = LazyLock::new(|| Arc::new(system()));

fn system() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "certificates that the system trusts cannot be read");
    }
    let mut store = RootCertStore::empty();
    // Systems hold some that are too old to be understood.
    store.add_parsable_certificates(found.certs);
    // Who names roots and has none there means no others.
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().any(|name| std::env::var_os(name).is_some());
    if store.is_empty() && !named {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    store
}

fn reason(error: pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::NoItemsFound => "it has no certificate in PEM".to_owned(),
        error => error.to_string(),
    }
}

/// A file of which no roots can be made.
#[derive(Debug)]
pub struct BadRoots {
    path: PathBuf,
    why: String,
}

impl fmt::Display for BadRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificates of {}: {}", self.path.display(), self.why)
    }
}

impl std::error::Error for BadRoots {}

/// What an upstream's TLS was refused for.
pub(super) fn refusal(error: &io::Error) -> Option<&rustls::Error> {
    // It may be wrapped twice.
    let within = error.get_ref()?;
    within.downcast_ref().or_else(|| refusal(within.downcast_ref()?))
}
