//! ConfigMaps by name, wherever in the cluster they are.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams};
use kube::{Client, Error};

/// One ConfigMap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    pub namespace: String,
    pub labels: BTreeMap<String, String>,
    pub data: BTreeMap<String, String>,
}

/// All of one name, in the order of their namespaces.
///
/// # Errors
/// The API server did not answer, or refused.
pub async fn named(client: &Client, name: &str) -> Result<Vec<Found>, Error> {
    let api: Api<ConfigMap> = Api::all(client.clone());
    let parameters = ListParams::default().fields(&format!("metadata.name={name}"));
    let list = api.list(&parameters).await?;
    let found = list.into_iter().map(|object| Found {
        namespace: object.metadata.namespace.unwrap_or_default(),
        labels: object.metadata.labels.unwrap_or_default(),
        data: object.data.unwrap_or_default(),
    });
    let mut found: Vec<Found> = found.collect();
    found.sort_by(|a, b| a.namespace.cmp(&b.namespace));
    Ok(found)
}
