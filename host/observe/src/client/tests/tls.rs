//! TLS with an authority of our own, with and without a client certificate.

use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tempfile::TempDir;

use super::*;

/// An authority, and a folder for its certificates.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(params, key).unwrap(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str, pem: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs_err::write(&path, pem).unwrap();
        path
    }

    fn ca_file(&self) -> PathBuf {
        self.file("ca.pem", &self.issuer.pem())
    }

    fn issue(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate, key)
    }

    /// Serves as `localhost`; with `clients`, to those alone who show a certificate of ours.
    async fn serve(&self, clients: bool) -> Server {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let (certificate, key) = self.issue("localhost");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let builder = ServerConfig::builder();
        let builder = if clients {
            let mut roots = RootCertStore::empty();
            roots.add(self.issuer.der().clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots))
                .build()
                .unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let chain = vec![certificate.der().clone()];
        Server::start_tls(builder.with_single_cert(chain, key).unwrap()).await
    }
}

fn all_answered(answers: &Answers) -> bool {
    answers.by_topic.values().all(Result::is_ok)
}

#[tokio::test]
async fn a_server_of_a_private_authority_is_trusted_when_that_is_named() {
    let authority = Authority::new();
    let server = authority.serve(false).await;
    let trusting = PrometheusConfig {
        ca_file: Some(authority.ca_file()),
        ..config(&server.url)
    };
    assert!(all_answered(&ask(&trusting).await));
}

#[tokio::test]
async fn a_server_of_another_authority_is_not_trusted() {
    let (authority, another) = (Authority::new(), Authority::new());
    let server = authority.serve(false).await;
    let doubting = PrometheusConfig {
        ca_file: Some(another.ca_file()),
        ..config(&server.url)
    };
    let error = common_error(&ask(&doubting).await);
    assert_eq!(error.reason(), "unreachable");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert_eq!(server.requests(), [] as [String; 0]);
}

#[tokio::test]
async fn any_server_is_trusted_where_that_is_asked_for() {
    let server = Authority::new().serve(false).await;
    let careless = PrometheusConfig {
        insecure_skip_verify: true,
        ..config(&server.url)
    };
    assert!(all_answered(&ask(&careless).await));
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let authority = Authority::new();
    let server = authority.serve(true).await;
    let (certificate, key) = authority.issue("trimtab");
    let mut known = PrometheusConfig {
        ca_file: Some(authority.ca_file()),
        client_certificate_file: Some(authority.file("cert.pem", &certificate.pem())),
        client_key_file: Some(authority.file("key.pem", &key.serialize_pem())),
        ..config(&server.url)
    };
    assert!(all_answered(&ask(&known).await));
    known.client_certificate_file = None;
    known.client_key_file = None;
    let answers = ask(&known).await;
    assert!(answers.by_topic.values().all(Result::is_err));
}
