//! An upstream that speaks TLS, with a certificate of an authority that only some know.
#![cfg(feature = "gateway")]
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

mod support;

use std::{path::PathBuf, process::Command, sync::Arc};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use serde_json::json;
use support::{Gateway, TempDir};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};
use tower_responses::demo::{Model, Upstream};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// TLS in front of the demo upstream.
struct TlsUpstream {
    upstream: Upstream,
    port: u16,
    authority: PathBuf,
    stranger: PathBuf,
    _folder: TempDir,
}

impl TlsUpstream {
    async fn start(protocols: &[&str]) -> Self {
        let folder = TempDir::new();
        let ours = authority("ours");
        let (authority, stranger) = (folder.0.join("ours.pem"), folder.0.join("stranger.pem"));
        std::fs::write(&authority, ours.pem()).unwrap();
        std::fs::write(&stranger, self::authority("stranger").pem()).unwrap();

        let upstream = Upstream::start(TcpListener::bind("127.0.0.1:0").await.unwrap(), Model::obedient()).unwrap();
        let behind = upstream.url().strip_prefix("http://").unwrap().to_owned();
        let acceptor = acceptor(&ours, protocols);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, behind) = (acceptor.clone(), behind.clone());
                tokio::spawn(async move {
                    // Fails where the other side does not trust us.
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut behind = TcpStream::connect(behind).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
                });
            }
        });
        Self { upstream, port, authority, stranger, _folder: folder }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    fn authority(&self) -> &str {
        self.authority.to_str().unwrap()
    }

    fn stranger(&self) -> &str {
        self.stranger.to_str().unwrap()
    }

    /// What a gateway with these arguments, in this environment, answers.
    async fn ask(&self, args: &[&str], env: &[(&str, &str)]) -> (u16, serde_json::Value) {
        let url = self.url();
        let args = [&["--upstream", url.as_str(), "--store", "none"], args].concat();
        Gateway::start_with(&args, env).post(&json!({"model": Model::NAME, "input": "hello"})).await
    }
}

fn acceptor(authority: &Authority, protocols: &[&str]) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(["localhost".to_owned()]).unwrap().signed_by(&key, authority).unwrap().der().clone();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

#[tokio::test]
async fn an_authority_is_trusted_by_file_and_by_environment() {
    for protocols in [&["http/1.1"][..], &["h2", "http/1.1"]] {
        let upstream = TlsUpstream::start(protocols).await;
        let ours = upstream.authority();
        let flag = ["--upstream-ca-file", ours];
        let variables = [[("SSL_CERT_FILE", ours)], [("TOWER_RESPONSES_UPSTREAM_CA_FILE", ours)]];
        for (args, env) in [(&flag[..], &[][..]), (&[], &variables[0]), (&[], &variables[1])] {
            let (status, answer) = upstream.ask(args, env).await;
            assert_eq!(status, 200, "{args:?} {env:?}: {answer}");
            assert_eq!(answer["output"][0]["content"][0]["text"], "You said: hello");
        }
        assert_eq!(upstream.upstream.seen().len(), 3);
    }
}

#[tokio::test]
async fn whom_nobody_trusts_gets_no_request() {
    let upstream = TlsUpstream::start(&[]).await;
    let named = ["--upstream-ca-file", upstream.stranger()];
    // The file names all that are trusted: the system's others are not.
    let environment = [("SSL_CERT_FILE", upstream.authority())];
    let other_environment = [("SSL_CERT_FILE", upstream.stranger())];
    for (args, env) in [(&[][..], &[][..]), (&named, &environment), (&[], &other_environment)] {
        let (status, answer) = upstream.ask(args, env).await;
        assert_eq!(status, 502, "{answer}");
        assert_eq!(answer["error"]["code"], "upstream_unreachable");
        assert!(answer["error"]["message"].as_str().unwrap().contains("certificate is not trusted"), "{answer}");
    }
    assert!(upstream.upstream.seen().is_empty());
}

#[tokio::test]
async fn each_further_upstream_has_its_own_authority() {
    let (upstream, folder) = (TlsUpstream::start(&[]).await, TempDir::new());
    let (config, demo) = (folder.0.join("config.toml"), Model::NAME);
    let (url, ours, stranger) = (upstream.url(), upstream.authority(), upstream.stranger());
    let text = format!(
        "[upstream]\nurl = '{url}'\nca_file = '{stranger}'\n[upstreams.a]\nurl = '{url}'\nca_file = '{ours}'\nmodels = ['{demo}']\n"
    );
    std::fs::write(&config, text).unwrap();
    let gateway = Gateway::start(&["--config", config.to_str().unwrap(), "--store", "none"]);
    let (status, answer) = gateway.post(&json!({"model": demo, "input": "hello"})).await;
    assert_eq!(status, 200, "{answer}");
    let (status, answer) = gateway.post(&json!({"model": "other", "input": "hello"})).await;
    assert_eq!(status, 502, "{answer}");
}

#[tokio::test]
async fn a_file_without_certificates_is_named_at_the_start() {
    let folder = TempDir::new();
    let (empty, broken, absent) = (folder.0.join("empty"), folder.0.join("broken"), folder.0.join("absent"));
    std::fs::write(&empty, "nothing\n").unwrap();
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    for file in [empty, broken, absent] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tower-responses"));
        command.args(["serve", "--upstream", "http://127.0.0.1:9", "--store", "none", "--listen", "127.0.0.1:0"]);
        let output = command.arg("--upstream-ca-file").arg(&file).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(file.to_str().unwrap()), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn check_trusts_the_same_file() {
    let upstream = TlsUpstream::start(&[]).await;
    for (file, code) in [(upstream.authority(), 0), (upstream.stranger(), 2)] {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_tower-responses"));
        let output = command.args(["check", "--upstream", &upstream.url(), "--upstream-ca-file", file]).output();
        let output = output.await.unwrap();
        let table = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{table}");
        assert_eq!(table.contains("--upstream-ca-file"), code == 2, "{table}");
    }
}
