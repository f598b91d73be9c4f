//! TLS for what we serve: certificates that can be replaced while it is served.

mod self_made;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::serve::Listener;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::prelude::{FromDer as _, X509Certificate};

pub use self::self_made::{SelfMade, until_seconds};

/// How long a client may take over its side of the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes that may be done and not taken yet.
const WAITING: usize = 64;

/// What a server shows, and whom it asks for a certificate. PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub certificates: String,
    pub key: String,
    pub clients: Clients,
}

/// Which certificates of clients are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Clients {
    /// None is asked for.
    #[default]
    Unasked,
    /// One that these vouch for (PEM), or none.
    Offered(String),
    /// One that these vouch for.
    Required(String),
}

/// Why a server cannot show itself so.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{what}: no PEM of the kind is in it")]
    Pem {
        what: &'static str,
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    #[error("{0}: none is in it")]
    Empty(&'static str),
    #[error("certificate and key cannot be served: are they of each other?")]
    Identity(#[source] rustls::Error),
    #[error("the clients' CA cannot be used: {0}")]
    Clients(String),
    #[error("a certificate cannot be made")]
    Make(#[from] rcgen::Error),
    #[error("the certificate cannot be read: {0}")]
    Read(String),
}

/// The identity that connections from now on are shown.
#[derive(Debug)]
pub struct Tls(RwLock<Arc<ServerConfig>>);

/// Who is at the other end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    /// Common name of its certificate, which was verified; `None` where it showed none.
    pub certified_name: Option<String>,
}

/// Accepts connections, and does their handshakes beside each other.
pub struct TlsListener {
    taken: mpsc::Receiver<(TlsStream<TcpStream>, Peer)>,
}

impl Tls {
    /// # Errors
    /// Where it cannot be shown.
    pub fn new(identity: &Identity) -> Result<Self, TlsError> {
        Ok(Self(RwLock::new(config(identity)?)))
    }

    /// Connections that there are stay as they are.
    ///
    /// # Errors
    /// Where it cannot be shown; then what was shown before is.
    pub fn replace(&self, identity: &Identity) -> Result<(), TlsError> {
        let config = config(identity)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    /// Connections of `listener` with this identity.
    #[must_use]
    pub fn listen(self: Arc<Self>, listener: Arc<TcpListener>) -> TlsListener {
        let (give, taken) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = give.closed() => return,
                };
                let Ok((stream, _)) = accepted else {
                    // Too many files are open, most likely.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    continue;
                };
                let acceptor = TlsAcceptor::from(self.now());
                let give = give.clone();
                tokio::spawn(async move {
                    // Whoever does not get through the handshake hears of it.
                    if let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await {
                        let peer = Peer::of(&stream);
                        let _ = give.send((stream, peer)).await;
                    }
                });
            }
        });
        TlsListener { taken }
    }

    fn now(&self) -> Arc<ServerConfig> {
        let config = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&config)
    }
}

fn config(identity: &Identity) -> Result<Arc<ServerConfig>, TlsError> {
    let certificates = certificates(&identity.certificates, "certificate")?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes());
    let key = key.map_err(|source| TlsError::Pem {
        what: "key",
        source,
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Identity)?;
    let verifier = |ca: &str| {
        let mut roots = RootCertStore::empty();
        for certificate in self::certificates(ca, "clients' CA")? {
            let added = roots.add(certificate);
            added.map_err(|error| TlsError::Clients(error.to_string()))?;
        }
        let provider = Arc::clone(&provider);
        Ok::<_, TlsError>(WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            provider,
        ))
    };
    let built = |error: rustls::client::VerifierBuilderError| TlsError::Clients(error.to_string());
    let builder = match &identity.clients {
        Clients::Unasked => builder.with_no_client_auth(),
        Clients::Offered(ca) => {
            let verifier = verifier(ca)?.allow_unauthenticated().build();
            builder.with_client_cert_verifier(verifier.map_err(built)?)
        }
        Clients::Required(ca) => {
            builder.with_client_cert_verifier(verifier(ca)?.build().map_err(built)?)
        }
    };
    let config = builder.with_single_cert(certificates, key);
    let mut config = config.map_err(TlsError::Identity)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(pem: &str, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let certificates = certificates.map_err(|source| TlsError::Pem { what, source })?;
    if certificates.is_empty() {
        return Err(TlsError::Empty(what));
    }
    Ok(certificates)
}

impl Peer {
    fn of(stream: &TlsStream<TcpStream>) -> Self {
        let (_, connection) = stream.get_ref();
        let certificates = connection.peer_certificates().unwrap_or_default();
        Self {
            certified_name: certificates.first().and_then(common_name),
        }
    }
}

fn common_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let name = certificate.subject().iter_common_name().next()?;
    Some(name.as_str().ok()?.to_owned())
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = Peer;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.taken.recv().await {
            Some(taken) => taken,
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(Peer::default())
    }
}
