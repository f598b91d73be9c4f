//! Whether an API server has a kind.

use kube::core::GroupVersionKind;
use kube::discovery::{self, ApiCapabilities, ApiResource};
use kube::{Client, Error};

/// What is needed to ask for it.
pub const RIGHTS: &str = "the role system:discovery";

/// A kind as the API server has it; `None` where it has no such kind.
///
/// # Errors
/// The API server does not say.
pub async fn served(
    client: &Client,
    kind: &GroupVersionKind,
) -> Result<Option<(ApiResource, ApiCapabilities)>, Error> {
    match discovery::pinned_kind(client, kind).await {
        Ok(found) => Ok(Some(found)),
        Err(Error::Discovery(_)) => Ok(None),
        Err(Error::Api(status)) if status.code == 404 => Ok(None),
        Err(error) => Err(error),
    }
}
