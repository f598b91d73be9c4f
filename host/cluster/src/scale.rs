//! Sets how many replicas a workload has, by its `scale` subresource.

use kube::api::{Api, PostParams};
use kube::core::{ApiResource, DynamicObject};
use kube::{Client, Error};

use crate::index::claim::TargetKey;

/// What must be granted.
pub const RIGHTS: &str = "`get` and `update` of its kind's `scale` subresource";

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scaled {
    Done,
    /// It has this count by now, which is not the one that the change was meant for: nothing was
    /// done.
    Found(u32),
}

/// Sets a workload that has `from` replicas to `to`. Where anybody else changes it at the same time,
/// nothing is done.
///
/// # Errors
/// The API server did not do it.
pub async fn scale(
    client: &Client,
    resource: &ApiResource,
    target: &TargetKey,
    (from, to): (u32, u32),
) -> Result<Scaled, Error> {
    let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), &target.namespace, resource);
    let mut scale = api.get_scale(&target.name).await?;
    let spec = scale.spec.get_or_insert_default();
    // The API server leaves a zero out.
    let found = spec.replicas.unwrap_or(0);
    if found != i32::try_from(from).unwrap_or(i32::MAX) {
        return Ok(Scaled::Found(u32::try_from(found).unwrap_or(0)));
    }
    spec.replicas = Some(i32::try_from(to).unwrap_or(i32::MAX));
    // With the version that was read: whoever comes between makes it a conflict.
    match api
        .replace_scale(&target.name, &PostParams::default(), &scale)
        .await
    {
        Ok(_) => Ok(Scaled::Done),
        Err(Error::Api(status)) if status.code == 409 => {
            let scale = api.get_scale(&target.name).await?;
            let found = scale.spec.and_then(|spec| spec.replicas).unwrap_or(0);
            Ok(Scaled::Found(u32::try_from(found).unwrap_or(0)))
        }
        Err(error) => Err(error),
    }
}
