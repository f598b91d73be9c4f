//! Where objects come from: a cluster, or files.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Map, Value};
use trimtab_cluster::refusal::explained;
use trimtab_publish::metrics::Live;

use super::object::{kind, namespace};
use super::plan::Found;
use crate::run::wiring::Clients;
use crate::run::wva;

/// What is read of a cluster: group, version, kind and plural. What a cluster does not have is no
/// loss.
const KINDS: [(&str, &str, &str, &str); 8] = [
    (
        "llmd.ai",
        "v1alpha1",
        "VariantAutoscaling",
        "variantautoscalings",
    ),
    (
        "autoscaling",
        "v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
    ),
    ("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"),
    ("apps", "v1", "Deployment", "deployments"),
    ("apps", "v1", "StatefulSet", "statefulsets"),
    (
        "leaderworkerset.x-k8s.io",
        "v1",
        "LeaderWorkerSet",
        "leaderworkersets",
    ),
    (
        "inference.networking.k8s.io",
        "v1",
        "InferencePool",
        "inferencepools",
    ),
    (
        "inference.networking.x-k8s.io",
        "v1alpha2",
        "InferencePool",
        "inferencepools",
    ),
];

/// Of a page of a list.
const PAGE: u32 = 500;

/// # Errors
/// A file cannot be read, or is no YAML.
pub(super) fn files(paths: &[PathBuf], namespaces: &[String]) -> Result<Found> {
    let mut found = Found::default();
    for path in paths {
        let text = read(path)?;
        let named = path.display();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text)
            .map_err(|error| anyhow!("{named}: not YAML: {}", error.without_snippet()))?;
        for document in documents {
            take(document, &mut found.objects);
        }
    }
    if !namespaces.is_empty() {
        found.objects.retain(|object| {
            // WVA's settings hold from its own namespace.
            kind(object) == "ConfigMap" || namespaces.iter().any(|of| of == namespace(object))
        });
    }
    Ok(found)
}

fn read(path: &Path) -> Result<String> {
    if path.as_os_str() != "-" {
        return Ok(fs_err::read_to_string(path)?);
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .context("standard input")?;
    Ok(text)
}

/// An object, or the items of a list.
fn take(mut document: Value, objects: &mut Vec<Value>) {
    let items = document.get_mut("items").and_then(Value::as_array_mut);
    if let Some(items) = items {
        objects.append(items);
    } else if document.is_object() {
        objects.push(document);
    }
}

/// # Errors
/// There is no cluster.
pub(super) fn cluster(namespaces: &[String]) -> Result<Found> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("threads cannot be had")?;
    runtime.block_on(async {
        let clients = Clients::connect(&Live::default()).await?;
        let mut found = Found::default();
        let namespaces: BTreeSet<&str> = namespaces.iter().map(String::as_str).collect();
        for (group, version, kind, plural) in KINDS {
            let gvk = GroupVersionKind::gvk(group, version, kind);
            let resource = ApiResource::from_gvk_with_plural(&gvk, plural);
            let asked = (&resource, ListParams::default());
            list(&clients.asking, asked, &namespaces, &mut found).await;
        }
        let maps = ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", "ConfigMap"));
        for map in wva::Map::ALL {
            let named = ListParams::default().fields(&format!("metadata.name={}", map.name()));
            // WVA's settings hold from its own namespace.
            list(
                &clients.asking,
                (&maps, named),
                &BTreeSet::new(),
                &mut found,
            )
            .await;
        }
        Ok(found)
    })
}

async fn list(
    client: &kube::Client,
    (resource, parameters): (&ApiResource, ListParams),
    namespaces: &BTreeSet<&str>,
    found: &mut Found,
) {
    let apis: Vec<Api<DynamicObject>> = if namespaces.is_empty() {
        vec![Api::all_with(client.clone(), resource)]
    } else {
        let of = |namespace: &&str| Api::namespaced_with(client.clone(), namespace, resource);
        namespaces.iter().map(of).collect()
    };
    for api in apis {
        let mut parameters = parameters.clone().limit(PAGE);
        loop {
            match api.list(&parameters).await {
                Ok(page) => {
                    let items = page.items.into_iter();
                    found
                        .objects
                        .extend(items.map(|item| object(resource, &item)));
                    let next = page.metadata.continue_.filter(|token| !token.is_empty());
                    let Some(token) = next else { break };
                    parameters = parameters.continue_token(&token);
                }
                Err(kube::Error::Api(status)) if status.code == 404 => break,
                Err(error) => {
                    let rights = format!("`list` of {}", resource.plural);
                    let why = format!("{}: {}", resource.plural, explained(&error, &rights));
                    found.unread.push(why);
                    break;
                }
            }
        }
    }
}

/// Items of a list do not say what they are.
fn object(resource: &ApiResource, item: &DynamicObject) -> Value {
    let mut map = match serde_json::to_value(item) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    };
    map.insert("apiVersion".to_owned(), resource.api_version.clone().into());
    map.insert("kind".to_owned(), resource.kind.clone().into());
    Value::Object(map)
}
