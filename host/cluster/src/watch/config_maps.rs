//! Single ConfigMaps, watched for as long as a policy is said to be in them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::watch_object;
use kube::{Api, Client};
use tokio::task::JoinHandle;

use super::unpoisoned;
use crate::index::Key;
use crate::refusal::with_cause;

/// What a ConfigMap holds in `binaryData`, by key.
pub type BinaryData = BTreeMap<String, Arc<[u8]>>;

/// How a ConfigMap stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Held {
    /// It was not answered yet.
    #[default]
    Unknown,
    /// There is none of this name.
    Absent,
    Data(BinaryData),
    /// It cannot be read.
    Failed(String),
}

/// The ConfigMaps that are asked about.
#[derive(Default)]
pub(super) struct ConfigMaps {
    watched: Mutex<BTreeMap<Key, Watched>>,
}

struct Watched {
    held: Arc<Mutex<Held>>,
    task: JoinHandle<()>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ConfigMaps {
    /// Watches these and no others, within a tokio runtime.
    pub(super) fn want(&self, client: &Client, wanted: &BTreeSet<Key>) {
        let mut watched = unpoisoned(self.watched.lock());
        watched.retain(|key, _| wanted.contains(key));
        for key in wanted {
            if !watched.contains_key(key) {
                watched.insert(key.clone(), Watched::start(client, key));
            }
        }
    }

    pub(super) fn get(&self, key: &Key) -> Held {
        let watched = unpoisoned(self.watched.lock());
        let held = watched
            .get(key)
            .map(|of| unpoisoned(of.held.lock()).clone());
        held.unwrap_or_default()
    }
}

impl Watched {
    fn start(client: &Client, (namespace, name): &Key) -> Self {
        let held = Arc::new(Mutex::new(Held::Unknown));
        let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let mut told = watch_object(api, name).default_backoff().boxed();
        let kept = Arc::clone(&held);
        let task = tokio::spawn(async move {
            while let Some(told) = told.next().await {
                let now = match told {
                    Ok(Some(found)) => Held::Data(binary_data(found)),
                    Ok(None) => Held::Absent,
                    Err(error) => Held::Failed(with_cause(&error)),
                };
                let mut held = unpoisoned(kept.lock());
                // What was read once stands while the API server is away.
                let is_lost = matches!((&*held, &now), (Held::Data(_), Held::Failed(_)));
                if !is_lost {
                    *held = now;
                }
            }
        });
        Self { held, task }
    }
}

fn binary_data(found: ConfigMap) -> BinaryData {
    let data = found.binary_data.unwrap_or_default().into_iter();
    data.map(|(key, bytes)| (key, Arc::from(bytes.0))).collect()
}
