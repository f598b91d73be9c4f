//! Where objects come from: a cluster, or files.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Map, Value};
use serde_saphyr::Options;
use trimtab_cluster::refusal::explained;
use trimtab_cluster::served::{self, served};
use trimtab_publish::metrics::Live;

use super::known::{target, version_of};
use super::object::{is_scaler, kind, namespace, text};
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

const NO_OBJECTS: &str = "no objects are in it: give what `kubectl get -o yaml` prints";

/// Of a page of a list.
const PAGE: u32 = 500;

/// # Errors
/// A file cannot be read, is no YAML, or has no objects.
pub(super) fn files(paths: &[PathBuf], namespaces: &[String]) -> Result<Found> {
    let mut found = Found::default();
    for path in paths {
        let text = read(path)?;
        let named = named(path);
        let documents: Vec<Value> = serde_saphyr::from_multiple_with_options(&text, options(&text))
            .map_err(|error| anyhow!("{named}: no YAML to read: {}", error.without_snippet()))?;
        if documents.iter().all(|document| kind(document).is_empty()) {
            bail!("{named}: {NO_OBJECTS}");
        }
        for document in documents {
            take(document, &mut found.objects);
        }
    }
    // Lists may be empty, but not all of them.
    if found.objects.is_empty() {
        let all: Vec<String> = paths.iter().map(|path| named(path)).collect();
        bail!("{}: {NO_OBJECTS}", all.join(", "));
    }
    if !namespaces.is_empty() {
        found.objects.retain(|object| {
            // WVA's settings hold from its own namespace.
            kind(object) == "ConfigMap" || namespaces.iter().any(|of| of == namespace(object))
        });
    }
    Ok(found)
}

/// A file may be as large as a cluster is: what is written out in it has no limit but its length.
fn options(text: &str) -> Options {
    /// Of the parser's events for a byte: `{a}` makes four of three.
    const MOST: usize = 2;
    /// Of events that aliases repeat: kubectl writes none, and a few of them in a row would make a
    /// small file endless.
    const REPEATED: usize = 100_000;
    let most = text.len().saturating_mul(MOST).max(1_000);
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: most,
            max_nodes: most,
            max_documents: most,
            max_total_scalar_bytes: most,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: REPEATED,
        },
    }
}

fn named(path: &Path) -> String {
    if path.as_os_str() == "-" {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
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
    let items = items.map(std::mem::take).unwrap_or_else(|| vec![document]);
    let objects_of = items.into_iter().filter(|item| !kind(item).is_empty());
    objects.extend(objects_of);
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
        others(&clients.asking, &mut found).await;
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

/// What is scaled and of no kind that is listed: each is asked for by its name.
async fn others(client: &kube::Client, found: &mut Found) {
    for ([group, version, kind], named) in unlisted(&found.objects) {
        let gvk = GroupVersionKind::gvk(&group, &version, &kind);
        let resource = match served(client, &gvk).await {
            Ok(Some((resource, _))) => resource,
            Ok(None) => continue,
            Err(error) => {
                let why = explained(&error, served::RIGHTS);
                found.unread.push(format!("{kind}: {why}"));
                continue;
            }
        };
        for (namespace, name) in named {
            let api: Api<DynamicObject> =
                Api::namespaced_with(client.clone(), &namespace, &resource);
            match api.get_opt(&name).await {
                Ok(item) => found
                    .objects
                    .extend(item.map(|item| object(&resource, &item))),
                Err(error) => {
                    let rights = format!("`get` of {}", resource.plural);
                    let why = explained(&error, &rights);
                    found
                        .unread
                        .push(format!("{kind} {namespace}/{name}: {why}"));
                }
            }
        }
    }
}

/// Groups, versions and kinds of what is scaled that are not listed, with namespaces and names.
pub(super) fn unlisted(objects: &[Value]) -> BTreeMap<[String; 3], BTreeSet<(String, String)>> {
    let mut unlisted: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for scaler in objects.iter().filter(|of| is_scaler(of)) {
        let target = target(scaler);
        let listed = |(group, _, kind, _): &(&str, &str, &str, &str)| {
            *group == target.group && *kind == target.kind
        };
        if KINDS.iter().any(listed) {
            continue;
        }
        let version = text(scaler, "/spec/scaleTargetRef/apiVersion");
        let version = version.unwrap_or(version_of(&target.kind));
        let version = version.rsplit('/').next().unwrap_or_default();
        let of = [target.group, version.to_owned(), target.kind];
        let named = (target.namespace, target.name);
        unlisted.entry(of).or_default().insert(named);
    }
    unlisted
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
