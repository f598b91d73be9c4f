//! Watches: every kind of object that the index takes in, kept up to date for as long as the
//! operator runs. What does not exist yet (a CRD that is not installed) is asked for again and
//! again, and is no error.

mod config_maps;
mod kinds;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LockResult, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use kube::core::{ApiResource, GroupVersionKind};
use kube::discovery::{self, Scope};
use kube::{Api, Client};
use tokio::sync::watch;

use self::config_maps::ConfigMaps;
pub use self::config_maps::{BinaryData, Held};
use crate::config::Config;
use crate::index::claim::{Registration, TargetKey};
use crate::index::target::{Unusable, WELL_KNOWN};
use crate::index::{Index, Key};
use crate::objects::definition::{Definition, ScalePaths};
use crate::policies::PolicyView;
use crate::served::served;
use crate::view::View;

/// How often new kinds of targets and new namespaces are looked for.
const SUPERVISION: Duration = Duration::from_secs(1);

/// A kind that is not there is looked for at least every 2^5 such times.
const LONGEST_WAIT: u32 = 5;

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
    config_maps: ConfigMaps,
    kinds: Mutex<Kinds>,
    /// Kinds of targets, by group and kind.
    resources: Mutex<BTreeMap<(String, String), ApiResource>>,
    /// How often pods had to be listed anew.
    relist: watch::Sender<u64>,
}

/// How the watches of each kind stand, by namespace; there is one, of the empty name, where a kind
/// is watched in all namespaces at once.
type Kinds = BTreeMap<String, BTreeMap<String, WatchState>>;

/// The last view, and of what it was: why not all GPUs were in sight, and the index' revision.
struct LastView {
    of: (Option<String>, u64),
    view: Arc<View>,
}

/// How one watch stands, or all those of a kind together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct WatchState {
    /// It was listed completely at least once.
    synced: bool,
    /// The cluster does not know the kind, or, of a target, cannot scale it.
    absent: bool,
    /// What went wrong last, until it goes well again.
    error: Option<String>,
}

impl WatchState {
    /// Of a kind: what is known of it must be known in each namespace.
    fn of(kinds: &Kinds, kind: &str) -> Self {
        let Some(watches) = kinds.get(kind).filter(|watches| !watches.is_empty()) else {
            return Self::default();
        };
        Self {
            synced: watches.values().all(|watch| watch.synced),
            // In one namespace it may have come already.
            absent: watches.values().any(|watch| watch.absent)
                && watches.values().all(|watch| watch.absent || watch.synced),
            error: watches.values().find_map(|watch| watch.error.clone()),
        }
    }

    /// Why it is not listed.
    fn lack(&self, kind: &str) -> String {
        let error = self.error.as_deref();
        format!("{kind}: {}", error.unwrap_or("not listed yet"))
    }
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
        let unseen = self.unseen();
        let mut index = self.index();
        let of = (unseen.clone(), index.revision);
        let mut last = unpoisoned(self.picture.last.lock());
        if let Some(last) = last.as_ref().filter(|last| last.of == of) {
            return Arc::clone(&last.view);
        }
        let view = Arc::new(index.view(unseen));
        *last = Some(LastView {
            of,
            view: Arc::clone(&view),
        });
        view
    }

    /// How the API server is asked for a target; `None` where its kind is not known.
    #[must_use]
    pub fn resource_of(&self, target: &TargetKey) -> Option<ApiResource> {
        let resources = unpoisoned(self.picture.resources.lock());
        let of = (target.group.clone(), target.kind.clone());
        resources.get(&of).cloned()
    }

    /// Targets that are claimed and set to no replicas.
    #[must_use]
    pub fn at_zero(&self) -> BTreeSet<TargetKey> {
        let index = self.index();
        let claimed = index.claimants.keys().filter(|target| {
            let known = index.targets.get(*target);
            known.is_some_and(|known| known.spec_replicas == 0 && !known.deleting)
        });
        claimed.cloned().collect()
    }

    /// What KEDA asks about now, by namespace and name of the ScaledObject.
    pub fn register(&self, registrations: BTreeMap<Key, Registration>) {
        self.index().register(registrations);
    }

    /// ScalingPolicies and PoolPolicies as they are now, without what these hold for; `None` where
    /// that is what `revision`, of an earlier call, was.
    #[must_use]
    pub fn policies(&self, revision: Option<u64>) -> Option<(u64, PolicyView)> {
        let index = self.index();
        let now = index.policy_revision;
        (revision != Some(now)).then(|| (now, index.policies_of(&[])))
    }

    /// From now on these ConfigMaps are watched, and no others.
    pub fn want_config_maps(&self, wanted: &BTreeSet<Key>) {
        self.picture.config_maps.want(&self.client, wanted);
    }

    /// How one of them stands.
    #[must_use]
    pub fn config_map(&self, key: &Key) -> Held {
        self.picture.config_maps.get(key)
    }

    /// What has not been listed yet and must be, with the reason where there is one.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let targets = self.unknown_kinds(&well_known());
        let kinds = self.kinds();
        let targets = targets.iter().filter_map(|(group, kind, _)| {
            let state = WatchState::of(&kinds, &custom(group, kind));
            // One that cannot be read is told of on what names it; the others go on.
            let settled = state.synced || state.absent || state.error.is_some();
            (!settled).then(|| format!("{kind}: not looked for yet"))
        });
        let mut missing = unlisted(&kinds, !self.namespaces.is_empty());
        missing.extend(targets);
        missing
    }

    /// Why not all GPUs are in sight, where they are not.
    fn unseen(&self) -> Option<String> {
        if !self.namespaces.is_empty() {
            let why = "pods of other namespaces hold GPUs too, and `namespaces` leaves them out: \
                       watch all namespaces, or set `limitToInventory` to false";
            return Some(why.to_owned());
        }
        unseen(&self.kinds())
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        unpoisoned(self.picture.index.lock())
    }

    fn kinds(&self) -> MutexGuard<'_, Kinds> {
        unpoisoned(self.picture.kinds.lock())
    }

    fn note(&self, (kind, namespace): (&str, &str), change: impl FnOnce(&mut WatchState)) {
        let mut kinds = self.kinds();
        let watches = kinds.entry(kind.to_owned()).or_default();
        change(watches.entry(namespace.to_owned()).or_default());
    }

    /// Looks for what claims name and nobody watches yet.
    async fn supervise(self) {
        let mut watched = well_known();
        let mut waits: BTreeMap<(String, String), Wait> = BTreeMap::new();
        loop {
            tokio::time::sleep(SUPERVISION).await;
            let unlisted = !self.index().take_unlisted().is_empty();
            if unlisted {
                self.picture.relist.send_modify(|times| *times += 1);
            }
            self.tell_of_unread(&watched);
            for (group, kind, version) in self.unknown_kinds(&watched) {
                let key = (group, kind);
                if waits.entry(key.clone()).or_default().is_over() {
                    let gvk = GroupVersionKind::gvk(&key.0, &version, &key.1);
                    if self.look_for(&gvk).await {
                        waits.remove(&key);
                        watched.insert(key);
                    }
                }
            }
        }
    }

    /// Watches a kind if it can be scaled. False where it is to be looked for again.
    async fn look_for(&self, gvk: &GroupVersionKind) -> bool {
        let name = custom(&gvk.group, &gvk.kind);
        let (resource, capabilities) = match discovery::pinned_kind(&self.client, gvk).await {
            Ok(found) => found,
            Err(error) => {
                self.note((&name, ""), |state| state.absent = true);
                tracing::debug!(name, %error, "a scale target's kind is not there");
                return false;
            }
        };
        let mut subresources = capabilities.subresources.iter();
        let unusable = if !subresources.any(|(of, _)| of.plural == "scale") {
            Some(Unusable::NoScale)
        } else if capabilities.scope == Scope::Cluster {
            Some(Unusable::NoNamespace)
        } else {
            None
        };
        let is_unusable = unusable.is_some();
        self.index().apply_kind(&gvk.group, &gvk.kind, unusable);
        if is_unusable {
            self.note((&name, ""), |state| state.absent = true);
            return false;
        }
        let Some(paths) = self.scale_paths(&resource).await else {
            return false;
        };
        self.watch_custom(name, resource, paths);
        true
    }

    /// Whoever names a target that cannot be read is to know why.
    fn tell_of_unread(&self, watched: &BTreeSet<(String, String)>) {
        for (group, kind) in watched.difference(&well_known()) {
            let state = WatchState::of(&self.kinds(), &custom(group, kind));
            let error = state.error.filter(|_| !state.synced);
            self.index()
                .apply_kind(group, kind, error.map(Unusable::Unread));
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
        !matches!(served(&self.client, &gvk).await, Ok(None))
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

/// The name under which the watch of a custom kind stands.
fn custom(group: &str, kind: &str) -> String {
    format!("{kind}.{group}")
}

/// How often a kind was looked for in vain: each time twice as long passes until the next.
#[derive(Default)]
struct Wait {
    looks: u32,
    left: u32,
}

impl Wait {
    fn is_over(&mut self) -> bool {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            return false;
        }
        self.left = (1 << self.looks.min(LONGEST_WAIT)) - 1;
        self.looks += 1;
        true
    }
}

fn well_known() -> BTreeSet<(String, String)> {
    let kinds = WELL_KNOWN.iter();
    kinds
        .map(|(group, kind)| ((*group).to_owned(), (*kind).to_owned()))
        .collect()
}

/// Required kinds that are not listed. Who names its namespaces need not be able to read what is said
/// of them.
fn unlisted(kinds: &Kinds, namespaces_are_named: bool) -> Vec<String> {
    let of = |kind: &&str| {
        let state = WatchState::of(kinds, kind);
        let absent = state.absent && !kinds::ALWAYS_THERE.contains(kind);
        let spared = namespaces_are_named && *kind == "Namespace" && state.error.is_some();
        (!(state.synced || absent || spared)).then(|| state.lack(kind))
    };
    kinds::REQUIRED.iter().filter_map(of).collect()
}

/// GPUs are known where every node and every pod is, and devices with the claims on them, unless
/// the cluster has no such kinds. Otherwise, what is not known, and why.
fn unseen(kinds: &Kinds) -> Option<String> {
    let of = |(kind, optional): (&str, bool)| {
        let state = WatchState::of(kinds, kind);
        let known = state.synced || (optional && state.absent);
        (!known).then(|| state.lack(kind))
    };
    let kinds = [
        ("Node", false),
        ("Pod", false),
        ("ResourceSlice", true),
        ("ResourceClaim", true),
        ("ResourceClaimTemplate", true),
    ];
    let unseen: Vec<String> = kinds.into_iter().filter_map(of).collect();
    (!unseen.is_empty()).then(|| unseen.join("; "))
}
