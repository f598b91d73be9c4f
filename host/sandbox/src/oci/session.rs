//! One registry, asked for manifests and blobs of one repository. Whatever it answers is read up to
//! a limit and no further, and is what its digest says.
//!
//! The requests are our own: `oci-client` reads manifests, tokens and errors to their end, however
//! long a registry makes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use trimtab_core::policies::Digest;

use super::artifact::Blob;
use super::challenge::Challenge;
use super::credentials::Credentials;
use super::error::{OciError, because, excerpt};
use super::reference::{Place, digest_of, parse_digest};

/// What registries themselves allow at most for a manifest.
const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// Tokens have a few kilobytes.
const MAX_TOKEN_BYTES: u64 = 1 << 20;

/// Indexes too, so that they are refused for what they are.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, \
    application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, \
    application/vnd.docker.distribution.manifest.list.v2+json";

/// A conversation with one registry.
pub(super) struct Session<'p> {
    http: &'p Client,
    place: Place,
    scheme: &'static str,
    credentials: Option<&'p Credentials>,
    authorization: Option<HeaderValue>,
}

/// A manifest's bytes, and what they hash to.
pub(super) struct Manifest {
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl<'p> Session<'p> {
    pub(super) fn new(
        http: &'p Client,
        place: Place,
        is_plain: bool,
        credentials: Option<&'p Credentials>,
    ) -> Self {
        Self {
            http,
            place,
            scheme: if is_plain { "http" } else { "https" },
            credentials,
            authorization: None,
        }
    }

    /// By tag, or by digest, which then must be the manifest's.
    pub(super) async fn manifest(&mut self, version: &str) -> Result<Manifest, OciError> {
        let separator = if version.contains(':') { '@' } else { ':' };
        let name = format!("{}{separator}{version}", self.place.repository);
        let response = self
            .get(&format!("manifests/{version}"), MANIFESTS, &name)
            .await?;
        let header = response.headers().get("docker-content-digest");
        let header = header.and_then(|value| parse_digest(value.to_str().ok()?));
        let what = format!("the manifest of {name}");
        let limit = Limit {
            bytes: MAX_MANIFEST_BYTES,
            allowed_by: "are allowed",
        };
        let bytes = self.read(response, &what, limit).await?;
        let digest = digest_of(&bytes);
        for wanted in [parse_digest(version), header].into_iter().flatten() {
            is_same(&what, &wanted, &digest)?;
        }
        Ok(Manifest { bytes, digest })
    }

    /// A blob of as many bytes as its descriptor says. Addresses elsewhere, which a descriptor may
    /// have too, are never asked.
    pub(super) async fn blob(&mut self, blob: &Blob) -> Result<Vec<u8>, OciError> {
        let path = format!("blobs/{}", blob.digest);
        let what = format!("blob {} of {}", blob.digest, self.place.repository);
        let response = self.get(&path, "*/*", &what).await?;
        let limit = Limit {
            bytes: blob.size,
            allowed_by: "its manifest says",
        };
        let bytes = self.read(response, &what, limit).await?;
        is_same(&what, &blob.digest, &digest_of(&bytes))?;
        Ok(bytes)
    }

    /// Asks, and once more with what the registry then wants to see.
    async fn get(
        &mut self,
        path: &str,
        accept: &'static str,
        what: &str,
    ) -> Result<Response, OciError> {
        let response = self.send(path, accept).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return self.checked(response, what);
        }
        self.authorization = Some(self.authorize(&response).await?);
        let response = self.send(path, accept).await?;
        self.checked(response, what)
    }

    async fn send(&self, path: &str, accept: &'static str) -> Result<Response, OciError> {
        let Place {
            registry,
            repository,
        } = &self.place;
        let url = format!("{}://{registry}/v2/{repository}/{path}", self.scheme);
        let mut request = self.http.get(url).header(ACCEPT, accept);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        request.send().await.map_err(|error| self.lost(error))
    }

    fn checked(&self, response: Response, what: &str) -> Result<Response, OciError> {
        let status = response.status();
        let registry = self.place.registry.clone();
        match status {
            _ if status.is_success() => Ok(response),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(self.unauthorized(&format!("it answers {}", status.as_u16())))
            }
            StatusCode::NOT_FOUND => Err(OciError::NotFound {
                registry,
                what: what.to_owned(),
            }),
            _ => Err(self.failed(status)),
        }
    }

    async fn authorize(&self, response: &Response) -> Result<HeaderValue, OciError> {
        match Challenge::of(response.headers()) {
            Some(Challenge::Bearer { realm, service }) => {
                let token = self.token(&realm, service.as_deref()).await?;
                self.secret(format!("Bearer {token}"))
            }
            Some(Challenge::Basic) => match self.credentials {
                Some(credentials) => self.secret(basic(credentials)),
                None => Err(self.unauthorized("it wants a user and a password")),
            },
            None => Err(self.unauthorized("it asks for neither a token nor a password")),
        }
    }

    /// A token to pull with, for the pull secret's user or for anybody.
    async fn token(&self, realm: &str, service: Option<&str>) -> Result<String, OciError> {
        let mut url = Url::parse(realm)
            .map_err(|_| self.invalid("the address of its token service is no URL"))?;
        if self.scheme == "https" && url.scheme() != "https" {
            return Err(self.invalid("its token service is not on https"));
        }
        let scope = format!("repository:{}:pull", self.place.repository);
        let service = service.map(|service| ("service", service));
        let query = service.into_iter().chain([("scope", scope.as_str())]);
        url.query_pairs_mut().extend_pairs(query);
        let mut request = self.http.get(url);
        if let Some(credentials) = self.credentials {
            request = request.header(AUTHORIZATION, self.secret(basic(credentials))?);
        }
        let response = request.send().await.map_err(|error| self.lost(error))?;
        let status = response.status();
        if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            let why = format!("its token service answers {}", status.as_u16());
            return Err(self.unauthorized(&why));
        }
        if !status.is_success() {
            return Err(self.failed(status));
        }
        let limit = Limit {
            bytes: MAX_TOKEN_BYTES,
            allowed_by: "are allowed",
        };
        let bytes = self.read(response, "its token", limit).await?;
        let read: Option<Token> = serde_json::from_slice(&bytes).ok();
        let token = read.and_then(|read| read.token.or(read.access_token));
        token.ok_or_else(|| self.invalid("its token service gives no token"))
    }

    /// Reads to the end, but no further than the limit.
    async fn read(
        &self,
        mut response: Response,
        what: &str,
        limit: Limit,
    ) -> Result<Vec<u8>, OciError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.lost(error))? {
            if (bytes.len() + chunk.len()) as u64 > limit.bytes {
                return Err(limit.exceeded(what));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn secret(&self, text: String) -> Result<HeaderValue, OciError> {
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| self.invalid("its token is no text that a header allows"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    pub(super) fn unreachable(&self, why: String) -> OciError {
        OciError::Unreachable {
            registry: self.place.registry.clone(),
            why,
        }
    }

    fn unauthorized(&self, why: &str) -> OciError {
        let with = match self.credentials {
            Some(_) => "with the user and password of a pull secret",
            None => "no pull secret has a user for it",
        };
        OciError::Unauthorized {
            registry: self.place.registry.clone(),
            repository: self.place.repository.clone(),
            why: format!("{why} ({with})"),
        }
    }

    fn invalid(&self, why: &str) -> OciError {
        OciError::InvalidAnswer {
            registry: self.place.registry.clone(),
            why: why.to_owned(),
        }
    }

    /// What a status means that says nothing of the artifact.
    fn failed(&self, status: StatusCode) -> OciError {
        let why = format!("it answers {}", status.as_u16());
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => self.unreachable(why),
            _ if status.is_server_error() => self.unreachable(why),
            _ => self.invalid(&why),
        }
    }

    fn lost(&self, error: reqwest::Error) -> OciError {
        let is_redirect = error.is_redirect();
        let why = excerpt(because(&error.without_url()));
        if is_redirect {
            self.invalid(&why)
        } else {
            self.unreachable(why)
        }
    }
}

/// How much is read.
#[derive(Clone, Copy)]
pub(super) struct Limit {
    pub(super) bytes: u64,
    pub(super) allowed_by: &'static str,
}

impl Limit {
    pub(super) fn exceeded(self, what: &str) -> OciError {
        OciError::TooLarge {
            what: what.to_owned(),
            limit: self.bytes,
            allowed_by: self.allowed_by,
        }
    }
}

fn basic(credentials: &Credentials) -> String {
    let Credentials { user, password } = credentials;
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

fn is_same(what: &str, wanted: &Digest, got: &Digest) -> Result<(), OciError> {
    if wanted == got {
        return Ok(());
    }
    Err(OciError::DigestMismatch {
        what: what.to_owned(),
        wanted: wanted.to_string(),
        got: got.to_string(),
    })
}
