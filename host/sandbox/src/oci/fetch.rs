//! What the registry of policies asks of a puller.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use trimtab_core::policies::Digest;

use super::{DockerConfig, OciError, PullRequest, Pulled, Puller};
use crate::registry::{Fetch, FetchError, Fetched, Reason, Remote};

impl Fetch for Puller {
    fn fetch<'a>(
        &'a self,
        remote: &'a Remote,
        known: Option<&'a Digest>,
    ) -> BoxFuture<'a, Result<Fetched, FetchError>> {
        async move {
            let pulled = async { self.pull(&request(remote)?, known).await };
            match pulled.await {
                Ok(Pulled::Unchanged { manifest }) => Ok(Fetched::Unchanged { resolved: manifest }),
                Ok(Pulled::Fetched {
                    bytes, manifest, ..
                }) => Ok(Fetched::Component {
                    bytes,
                    resolved: manifest,
                }),
                Err(error) => Err(FetchError {
                    reason: reason(&error),
                    message: error.to_string(),
                }),
            }
        }
        .boxed()
    }
}

fn request(remote: &Remote) -> Result<PullRequest, OciError> {
    let secrets = remote.credentials.iter();
    Ok(PullRequest {
        reference: remote.reference.clone(),
        credentials: secrets
            .map(|json| DockerConfig::parse(json))
            .collect::<Result<_, _>>()?,
    })
}

fn reason(error: &OciError) -> Reason {
    match error {
        OciError::Configuration { .. }
        | OciError::BadReference { .. }
        | OciError::BadCredentials { .. } => Reason::InvalidSource,
        OciError::NotFound { .. } => Reason::NotFound,
        OciError::Unauthorized { .. } => Reason::Unauthorized,
        OciError::TooLarge { .. } => Reason::TooLarge,
        OciError::WrongMediaType { .. } => Reason::NotAComponent,
        OciError::DigestMismatch { .. } => Reason::DigestMismatch,
        OciError::SignatureInvalid { .. } => Reason::SignatureInvalid,
        OciError::Unreachable { .. } | OciError::InvalidAnswer { .. } => Reason::FetchFailed,
        OciError::Everywhere { origin, .. } => reason(origin),
    }
}
