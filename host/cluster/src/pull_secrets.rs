//! Credentials of registries, in Secrets as kubelets take them.

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};

use crate::index::Key;
use crate::refusal::explained;

/// Key of a Secret of the type `kubernetes.io/dockerconfigjson`.
const DOCKER_CONFIG: &str = ".dockerconfigjson";

/// The docker configuration in a Secret.
///
/// # Errors
/// It cannot be read, or holds none; says what to do.
pub async fn docker_config(client: &Client, (namespace, name): &Key) -> Result<Vec<u8>, String> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let of = format!("Secret {namespace}/{name}");
    let found = api.get_opt(name).await.map_err(|error| {
        let rights = format!("`get` of the secret {name} in {namespace}");
        format!("{of}: {}", explained(&error, &rights))
    })?;
    let secret = found.ok_or_else(|| format!("{of} does not exist"))?;
    let data = secret.data.unwrap_or_default().remove(DOCKER_CONFIG);
    data.map(|bytes| bytes.0).ok_or_else(|| {
        format!(
            "{of} has no `{DOCKER_CONFIG}`: make it with `kubectl create secret docker-registry`"
        )
    })
}
