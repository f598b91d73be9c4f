//! Policies from OCI registries: found by tag or digest, checked, fetched. Knows nothing of what a
//! component does, and asks once: whoever calls waits and tries again.

mod artifact;
mod challenge;
mod credentials;
mod error;
mod fetch;
mod reference;
mod session;
mod signature;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Client, redirect};
use trimtab_core::policies::Digest;

use crate::error::MAX_COMPONENT_BYTES;
pub use credentials::DockerConfig;
pub use error::OciError;
use error::because;
use reference::{Asked, Place};
use session::{Limit, Session};
use signature::PublicKey;

/// Redirects that a request follows. Registries send to their storage, which is one.
const MAX_REDIRECTS: usize = 5;

/// How registries are asked.
#[derive(Clone, Debug, PartialEq)]
pub struct OciConfig {
    /// By registry, as references name it: hosts that are asked before it, in this order. A path
    /// after the host comes before the repository. Credentials are those of the mirror.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Hosts, with their port, that are asked by plain HTTP.
    pub insecure_registries: BTreeSet<String>,
    /// PEM of authorities that are trusted beside the system's.
    pub ca_file: Option<PathBuf>,
    /// Longest time that one registry may take for all that it is asked for in one pull.
    pub timeout_seconds: f64,
    /// Largest component.
    pub max_bytes: u64,
    /// PEM of an ECDSA key on P-256, as `cosign.pub` has it. Where it is set, artifacts that are
    /// not signed by it are refused. No transparency log is asked.
    pub public_key: Option<String>,
}

impl Default for OciConfig {
    /// No mirrors, HTTPS with the system's authorities, 60 s, the largest component that is
    /// compiled, no signatures.
    fn default() -> Self {
        Self {
            mirrors: BTreeMap::new(),
            insecure_registries: BTreeSet::new(),
            ca_file: None,
            timeout_seconds: 60.0,
            max_bytes: MAX_COMPONENT_BYTES as u64,
            public_key: None,
        }
    }
}

/// What to pull.
#[derive(Clone, Debug)]
pub struct PullRequest {
    /// `registry/repository:tag`, `registry/repository@sha256:…`, or both, of which the digest
    /// counts. It is the manifest's.
    pub reference: String,
    /// Pull secrets, the first before the next.
    pub credentials: Vec<DockerConfig>,
}

/// What a pull brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// The component is the one that is known: nothing was downloaded.
    Unchanged {
        /// Digest of the manifest that the reference leads to.
        manifest: String,
    },
    Fetched {
        bytes: Vec<u8>,
        /// Of the component.
        digest: Digest,
        /// Digest of the manifest that the reference leads to.
        manifest: String,
    },
}

/// Asks registries for policies.
#[derive(Debug)]
pub struct Puller {
    http: Client,
    mirrors: BTreeMap<String, Vec<String>>,
    insecure_registries: BTreeSet<String>,
    timeout: Duration,
    max_bytes: u64,
    public_key: Option<PublicKey>,
}

impl Puller {
    /// Opens no connection.
    ///
    /// # Errors
    /// [`OciError::Configuration`] names the field that cannot be used.
    pub fn new(config: OciConfig) -> Result<Self, OciError> {
        check_registries(&config)?;
        let timeout = Duration::try_from_secs_f64(config.timeout_seconds)
            .ok()
            .filter(|timeout| !timeout.is_zero())
            .ok_or_else(|| unusable("timeoutSeconds", "it must be more than 0".to_owned()))?;
        let public_key = config.public_key.as_deref().map(PublicKey::from_pem);
        Ok(Self {
            http: client(config.ca_file.as_deref())?,
            public_key: public_key.transpose()?,
            mirrors: config.mirrors,
            insecure_registries: config.insecure_registries,
            timeout,
            max_bytes: config.max_bytes,
        })
    }

    /// Finds the artifact, checks it, and downloads its component where that is not `known`, the
    /// digest of a component that is loaded already. Mirrors are asked in order, then the registry;
    /// the first that has an artifact to be admitted wins.
    ///
    /// # Errors
    /// Where none has: what the registry itself said, and what its mirrors did.
    pub async fn pull(
        &self,
        request: &PullRequest,
        known: Option<&Digest>,
    ) -> Result<Pulled, OciError> {
        let asked = Asked::parse(&request.reference)?;
        let mut failed = Vec::new();
        for mirror in asked.mirrors(&self.mirrors) {
            let name = mirror.registry.clone();
            match self.pull_from(mirror, &asked, request, known).await {
                Ok(pulled) => return Ok(pulled),
                Err(error) => {
                    tracing::debug!(mirror = name, %error, "mirror does not serve");
                    failed.push((name, error));
                }
            }
        }
        let pulled = self.pull_from(asked.origin(), &asked, request, known).await;
        pulled.map_err(|error| error.after(failed))
    }

    async fn pull_from(
        &self,
        place: Place,
        asked: &Asked,
        request: &PullRequest,
        known: Option<&Digest>,
    ) -> Result<Pulled, OciError> {
        let credentials = credentials::find(&request.credentials, &place);
        let is_plain = self.insecure_registries.contains(&place.registry);
        let mut session = Session::new(&self.http, place, is_plain, credentials);
        let pulling = self.pull_over(&mut session, asked.version(), known);
        let pulled = tokio::time::timeout(self.timeout, pulling).await;
        pulled.unwrap_or_else(|_| {
            let seconds = self.timeout.as_secs_f64();
            Err(session.unreachable(format!("it was not done in {seconds} s")))
        })
    }

    async fn pull_over(
        &self,
        session: &mut Session<'_>,
        version: &str,
        known: Option<&Digest>,
    ) -> Result<Pulled, OciError> {
        let manifest = session.manifest(version).await?;
        let component = artifact::component_of(&manifest.bytes)?;
        if component.size > self.max_bytes {
            let limit = Limit {
                bytes: self.max_bytes,
                allowed_by: "are allowed",
            };
            return Err(limit.exceeded(&format!("the component, of {} bytes,", component.size)));
        }
        // A component that is known may be so from elsewhere, where nobody asked for a signature.
        if let Some(key) = &self.public_key {
            signature::check(session, &manifest.digest, key).await?;
        }
        let manifest = manifest.digest.0;
        if known == Some(&component.digest) {
            return Ok(Pulled::Unchanged { manifest });
        }
        Ok(Pulled::Fetched {
            bytes: session.blob(&component).await?,
            digest: component.digest,
            manifest,
        })
    }
}

fn check_registries(config: &OciConfig) -> Result<(), OciError> {
    let mirrors = config.mirrors.iter();
    let mirrors = mirrors.flat_map(|(registry, mirrors)| {
        let path = mirrors.iter().map(|mirror| (mirror, true));
        path.chain([(registry, false)])
    });
    let insecure = config.insecure_registries.iter().map(|host| (host, false));
    let named = mirrors.map(|of| ("mirrors", of));
    let named = named.chain(insecure.map(|of| ("insecureRegistries", of)));
    for (field, (name, may_have_path)) in named {
        if !reference::is_registry(name) || (name.contains('/') && !may_have_path) {
            let why = format!("`{name}` is no registry: write its host, without a scheme");
            return Err(unusable(field, why));
        }
    }
    Ok(())
}

fn client(ca_file: Option<&Path>) -> Result<Client, OciError> {
    // Fails where another provider is the default already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        .user_agent("trimtab")
        .redirect(redirect::Policy::custom(follow));
    if let Some(path) = ca_file {
        builder = builder.tls_certs_merge(authorities(path)?);
    }
    builder
        .build()
        .map_err(|error| unusable("caFile", because(&error)))
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, OciError> {
    let bad = |why: String| unusable("caFile", format!("{}: {why}", path.display()));
    let pem = fs_err::read(path).map_err(|error| unusable("caFile", error.to_string()))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| bad(because(&error)))?;
    if found.is_empty() {
        return Err(bad("it has no certificate".to_owned()));
    }
    Ok(found)
}

/// Tags are only as good as the connection that resolves them: from TLS nothing leads out of it.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let last = attempt.previous().last();
    let was_https = last.is_some_and(|url| url.scheme() == "https");
    if was_https && attempt.url().scheme() != "https" {
        attempt.error("it redirects from https to http")
    } else if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error("it redirects too often")
    } else {
        attempt.follow()
    }
}

fn unusable(field: &'static str, why: String) -> OciError {
    OciError::Configuration { field, why }
}
