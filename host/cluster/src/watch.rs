//! Watches: every kind of object that the index takes in, kept up to date for as long as the
//! operator runs. What does not exist yet (a CRD that is not installed) is asked for again and
//! again, and is no error.

mod kinds;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LockResult, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client, discovery};
use tokio::sync::Notify;

use crate::config::Config;
use crate::index::Index;
use crate::index::target::WELL_KNOWN;
use crate::objects::definition::{Definition, ScalePaths};
use crate::view::View;

/// How often new kinds of targets and new namespaces are looked for.
const SUPERVISION: Duration = Duration::from_secs(1);

/// Longest wait for claims and pools before pods are listed; it spares a second listing.
const CLAIMS_FIRST: Duration = Duration::from_secs(5);

/// The cluster as it is watched.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    namespaces: Vec<String>,
    picture: Arc<Picture>,
}

/// What the watches share.
#[derive(Default)]
struct Picture {
    index: Mutex<Index>,
    last: Mutex<Option<LastView>>,
    kinds: Mutex<BTreeMap<String, KindState>>,
    /// Told when pods must be listed anew.
    relist: Notify,
}

/// The last view, and of what it was: whether all GPUs were in sight, and the index' revision.
struct LastView {
    of: (bool, u64),
    view: Arc<View>,
}

/// How the watch of one kind stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindState {
    /// It was listed completely at least once.
    pub synced: bool,
    /// The cluster does not know the kind, or, of a target, cannot scale it.
    pub absent: bool,
    /// What went wrong last, until it goes well again.
    pub error: Option<String>,
}

impl Cluster {
    /// Watches from now on, within a tokio runtime. An empty list of namespaces is all of them.
    #[must_use]
    pub fn start(client: Client, config: Config, namespaces: Vec<String>) -> Self {
        let cluster = Self {
            client,
            namespaces,
            picture: Arc::new(Picture {
                index: Mutex::new(Index::new(config)),
                ..Picture::default()
            }),
        };
        cluster.watch_all();
        tokio::spawn(cluster.clone().supervise());
        cluster
    }

    /// Pools as they are now: made anew only where something changed. Call it once
    /// [`Self::missing`] is empty.
    #[must_use]
    pub fn view(&self) -> Arc<View> {
        let inventory = self.sees_all_gpus();
        let mut index = self.index();
        let of = (inventory, index.revision);
        let mut last = unpoisoned(self.picture.last.lock());
        if let Some(last) = last.as_ref().filter(|last| last.of == of) {
            return Arc::clone(&last.view);
        }
        let view = Arc::new(index.view(inventory));
        *last = Some(LastView {
            of,
            view: Arc::clone(&view),
        });
        view
    }

    /// What has not been listed yet and must be, with the reason where there is one.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let targets = self.unknown_kinds(&well_known());
        let kinds = self.kinds();
        let state = |kind: &str| kinds.get(kind).cloned().unwrap_or_default();
        let missing = kinds::REQUIRED.iter().filter_map(|kind| {
            let state = state(kind);
            let settled = state.synced || (state.absent && !kinds::ALWAYS_THERE.contains(kind));
            (!settled).then(|| match state.error {
                Some(error) => format!("{kind}: {error}"),
                None => format!("{kind}: not listed yet"),
            })
        });
        let targets = targets.iter().filter_map(|(_, kind, _)| {
            let state = state(kind);
            // One that cannot be read is told of on what names it; the others go on.
            let settled = state.synced || state.absent || state.error.is_some();
            (!settled).then(|| format!("{kind}: not looked for yet"))
        });
        missing.chain(targets).collect()
    }

    /// Every kind that is watched, by name.
    #[must_use]
    pub fn states(&self) -> BTreeMap<String, KindState> {
        self.kinds().clone()
    }

    fn sees_all_gpus(&self) -> bool {
        self.namespaces.is_empty() && shows_all_gpus(&self.kinds())
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        unpoisoned(self.picture.index.lock())
    }

    fn kinds(&self) -> MutexGuard<'_, BTreeMap<String, KindState>> {
        unpoisoned(self.picture.kinds.lock())
    }

    fn note(&self, kind: &str, change: impl FnOnce(&mut KindState)) {
        change(self.kinds().entry(kind.to_owned()).or_default());
    }

    /// Looks for what claims name and nobody watches yet.
    async fn supervise(self) {
        let mut watched = well_known();
        loop {
            tokio::time::sleep(SUPERVISION).await;
            let unlisted = !self.index().take_unlisted().is_empty();
            if unlisted {
                self.picture.relist.notify_waiters();
            }
            for (group, kind, version) in self.unknown_kinds(&watched) {
                let gvk = GroupVersionKind::gvk(&group, &version, &kind);
                match discovery::pinned_kind(&self.client, &gvk).await {
                    Ok((resource, capabilities)) => {
                        let mut subresources = capabilities.subresources.iter();
                        if subresources.any(|(of, _)| of.plural == "scale") {
                            let Some(paths) = self.scale_paths(&resource).await else {
                                continue;
                            };
                            self.index().apply_kind(&group, &kind, true);
                            self.watch_custom(resource, paths);
                            watched.insert((group, kind));
                        } else {
                            self.note(&kind, |state| state.absent = true);
                            self.index().apply_kind(&group, &kind, false);
                        }
                    }
                    Err(error) => {
                        self.note(&kind, |state| state.absent = true);
                        tracing::debug!(group, kind, %error, "a scale target's kind is not there");
                    }
                }
            }
        }
    }

    /// Where objects of a kind keep their counts: as its definition says. A kind that has none (an
    /// aggregated API's), or whose definition may not be read, keeps them where most do; `None`
    /// where the API server does not say now.
    async fn scale_paths(&self, resource: &ApiResource) -> Option<ScalePaths> {
        let definitions = ApiResource::from_gvk_with_plural(
            &GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
            "customresourcedefinitions",
        );
        let definitions: Api<Definition> = Api::all_with(self.client.clone(), &definitions);
        let name = format!("{}.{}", resource.plural, resource.group);
        match definitions.get(&name).await {
            Ok(definition) => Some(definition.spec.scale_paths(&resource.version)),
            Err(kube::Error::Api(status)) if status.code == 404 => Some(ScalePaths::default()),
            Err(kube::Error::Api(status)) if status.code == 403 => {
                let (usual, error) = (ScalePaths::default(), &status.message);
                let path = &usual.spec_replicas_path;
                tracing::warn!(
                    error,
                    "where {name} keep their count is not known, `{path}` is taken: grant `get` of \
                     customresourcedefinitions"
                );
                Some(usual)
            }
            Err(_) => None,
        }
    }

    /// Whether the API server serves a kind. One that asks without a right to it is told that it
    /// is forbidden, also where there is no such kind.
    async fn serves(&self, resource: &ApiResource) -> bool {
        let gvk = GroupVersionKind::gvk(&resource.group, &resource.version, &resource.kind);
        let found = discovery::pinned_kind(&self.client, &gvk).await;
        !found.is_err_and(|error| is_absent(&error))
    }

    fn unknown_kinds(
        &self,
        watched: &BTreeSet<(String, String)>,
    ) -> BTreeSet<(String, String, String)> {
        let index = self.index();
        let targets = index.claims.values().filter(|claim| {
            let target = &claim.target;
            !watched
                .iter()
                .any(|(group, kind)| target.is_of(group, kind))
        });
        targets
            .map(|claim| {
                let version = claim.target_version.as_deref().unwrap_or("v1");
                let version = version.rsplit('/').next().unwrap_or(version);
                let target = &claim.target;
                (
                    target.group.clone(),
                    target.kind.clone(),
                    version.to_owned(),
                )
            })
            .collect()
    }
}

/// A panic while the lock was held is a bug, not a reason to stop scaling.
fn unpoisoned<T>(lock: LockResult<MutexGuard<'_, T>>) -> MutexGuard<'_, T> {
    lock.unwrap_or_else(PoisonError::into_inner)
}

fn well_known() -> BTreeSet<(String, String)> {
    let kinds = WELL_KNOWN.iter();
    kinds
        .map(|(group, kind)| ((*group).to_owned(), (*kind).to_owned()))
        .collect()
}

/// Whether discovery says that there is no such kind, and not that it cannot say.
fn is_absent(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Discovery(_))
        || matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// GPUs are known where every node and every pod is, and devices with the claims on them, unless
/// the cluster has no such kinds.
fn shows_all_gpus(kinds: &BTreeMap<String, KindState>) -> bool {
    let of = |kind: &str, settled: fn(&KindState) -> bool| kinds.get(kind).is_some_and(settled);
    ["Node", "Pod"]
        .iter()
        .all(|kind| of(kind, |state| state.synced))
        && ["ResourceSlice", "ResourceClaim"]
            .iter()
            .all(|kind| of(kind, |state| state.synced || state.absent))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORBIDDEN: &str = "forbidden";

    fn kinds(states: [(&str, &str); 4]) -> BTreeMap<String, KindState> {
        let state = |state: &str| KindState {
            synced: state == "synced",
            absent: state == "absent",
            error: (state == FORBIDDEN).then(|| "403".to_owned()),
        };
        states.map(|(kind, of)| (kind.to_owned(), state(of))).into()
    }

    #[test]
    fn gpus_are_known_only_where_all_that_says_something_of_them_is() {
        // Situation 2.
        let with = |node, pod, slice, claim| {
            shows_all_gpus(&kinds([
                ("Node", node),
                ("Pod", pod),
                ("ResourceSlice", slice),
                ("ResourceClaim", claim),
            ]))
        };
        assert!(with("synced", "synced", "synced", "synced"));
        assert!(with("synced", "synced", "absent", "absent"));
        assert!(!with(FORBIDDEN, "synced", "absent", "absent"));
        assert!(!with("synced", FORBIDDEN, "absent", "absent"));
        assert!(!with("synced", "synced", FORBIDDEN, "absent"));
        assert!(!with("synced", "synced", "synced", FORBIDDEN));
        assert!(!shows_all_gpus(&BTreeMap::new()));
    }
}
