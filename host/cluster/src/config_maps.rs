//! ConfigMaps by name, wherever in the cluster they are.

use std::collections::{BTreeMap, BTreeSet};

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

/// What whoever reads them must be granted; only `get`, where the namespaces are given.
pub const RIGHTS: &str = "`get` and `list` of configmaps";

/// What was found of one name.
#[derive(Debug, Default)]
pub struct Named {
    /// In the order of their namespaces.
    pub found: Vec<Found>,
    /// Why one of the namespaces may not be read, the first of them; the others are.
    pub refused: Option<Error>,
}

/// All of one name; where no namespaces are given, in all.
///
/// # Errors
/// The API server did not answer, or refused all.
pub async fn named(
    client: &Client,
    name: &str,
    namespaces: &BTreeSet<String>,
) -> Result<Named, Error> {
    let mut refused = None;
    let mut objects = Vec::new();
    if namespaces.is_empty() {
        let api: Api<ConfigMap> = Api::all(client.clone());
        let parameters = ListParams::default().fields(&format!("metadata.name={name}"));
        objects.extend(api.list(&parameters).await?);
    }
    for namespace in namespaces {
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        match api.get_opt(name).await {
            Err(error) if matches!(&error, Error::Api(status) if status.code == 403) => {
                refused.get_or_insert(error);
            }
            answer => objects.extend(answer?),
        }
    }
    let found = objects.into_iter().map(|object| Found {
        namespace: object.metadata.namespace.unwrap_or_default(),
        labels: object.metadata.labels.unwrap_or_default(),
        data: object.data.unwrap_or_default(),
    });
    let mut found: Vec<Found> = found.collect();
    found.sort_by(|a, b| a.namespace.cmp(&b.namespace));
    Ok(Named { found, refused })
}
