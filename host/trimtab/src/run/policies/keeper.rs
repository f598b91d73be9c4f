//! Keeps policies at hand beside the cycles: tells the registry what is wanted, makes the catalogue
//! of what came of it, and says on ScalingPolicies what became of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::time::timeout;
use trimtab_cluster::policies::PolicyView;
use trimtab_cluster::policy_status::Writer;
use trimtab_cluster::view::View;
use trimtab_cluster::{Cluster, pull_secrets};
use trimtab_sandbox::{Entry, PolicyKey, Registry, State, Table, Wanted};

use super::catalogue::Catalogue;
use super::resolve::Resolver;
use super::statuses;
use super::wanted::{self, AtHand, Secrets};
use crate::run::clock::{Stopwatch, now_ms};
use crate::run::config::Maxima;
use crate::run::leader::Leadership;
use crate::run::shutdown;

/// How often objects are looked at; what is loaded is told of at once.
const LOOK: Duration = Duration::from_millis(250);
/// How often Secrets are read again, and how long one may take.
const SECRETS: Duration = Duration::from_secs(60);
const ANSWER: Duration = Duration::from_secs(5);
/// Secrets read at the same time.
const AT_A_TIME: usize = 4;
/// How often statuses are compared with what they should be.
const TELL: Duration = Duration::from_secs(1);

/// What cycles read.
pub(crate) struct Shelf {
    pub(super) registry: Arc<Registry>,
    pub(super) catalogue: ArcSwap<Catalogue>,
}

/// Works until it is told to stop.
pub(in crate::run) struct Keeper {
    pub(in crate::run) cluster: Cluster,
    pub(in crate::run) client: kube::Client,
    pub(in crate::run) shelf: Arc<Shelf>,
    pub(in crate::run) resolver: Resolver,
    pub(in crate::run) maxima: Maxima,
    pub(in crate::run) leadership: Leadership,
    /// What the last cycle saw: who uses a policy.
    pub(in crate::run) seen: watch::Receiver<Option<Arc<View>>>,
    pub(in crate::run) writer: Writer,
}

/// What is known from one look to the next.
#[derive(Default)]
struct Known {
    /// Of the cluster's policies.
    revision: Option<u64>,
    policies: PolicyView,
    secrets: Secrets,
    asked: Option<Stopwatch>,
    wanted: BTreeMap<PolicyKey, Wanted>,
    /// Revision and table that the catalogue is of.
    catalogued: Option<(Option<u64>, u64)>,
    table: Arc<Table>,
    told: Option<Stopwatch>,
}

/// A line for each policy of which another version decides, or that is not as it is wanted.
fn log(before: &Table, now: &Table) {
    for ((namespace, name), entry) in &now.entries {
        let known = before.entries.get(&(namespace.clone(), name.clone()));
        let version = |entry: &Entry| {
            let current = entry.current.as_ref();
            current.map(|policy| policy.digest().clone())
        };
        let current = version(entry);
        let before = known.and_then(|known| version(known));
        if let Some(digest) = current.as_ref().filter(|_| current != before) {
            tracing::info!(namespace, name, %digest, "another version of a policy is in use");
        }
        if known.is_some_and(|known| known.state == entry.state) {
            continue;
        }
        match &entry.state {
            State::Failed { reason, message } => {
                tracing::warn!(namespace, name, %reason, message, "a policy cannot be had");
            }
            State::Quarantined { message, .. } => {
                tracing::warn!(namespace, name, message, "a policy is rolled back");
            }
            State::Fetching | State::Ready => {}
        }
    }
}

impl Shelf {
    pub(crate) fn new(registry: Arc<Registry>) -> Arc<Self> {
        Arc::new(Self {
            registry,
            catalogue: ArcSwap::default(),
        })
    }
}

impl Keeper {
    pub(in crate::run) async fn run(mut self, stopping: watch::Receiver<bool>) {
        let mut known = Known::default();
        let mut changed = self.shelf.registry.changed();
        loop {
            self.look(&mut known).await;
            tokio::select! {
                () = shutdown::told(stopping.clone()) => return,
                _ = changed.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    async fn look(&mut self, known: &mut Known) {
        if let Some((revision, policies)) = self.cluster.policies(known.revision) {
            known.revision = Some(revision);
            known.policies = policies;
            self.cluster
                .want_config_maps(&wanted::config_maps(&known.policies));
            known.asked = None;
        }
        if known
            .asked
            .as_ref()
            .is_none_or(|asked| asked.elapsed() >= SECRETS)
        {
            self.read_secrets(known).await;
        }
        self.want(known);
        let table = self.shelf.registry.table();
        let of = (known.revision, table.serial);
        if known.catalogued != Some(of) {
            let resolver = &mut self.resolver;
            let policies = &known.policies;
            let catalogue = tokio::task::block_in_place(|| resolver.resolve(policies, &table));
            self.shelf.catalogue.store(Arc::new(catalogue));
            known.catalogued = Some(of);
            known.told = None;
            log(&known.table, &table);
            known.table = table;
        }
        if known
            .told
            .as_ref()
            .is_none_or(|told| told.elapsed() >= TELL)
        {
            known.told = Some(Stopwatch::start());
            self.tell(&known.policies).await;
        }
    }

    fn want(&self, known: &mut Known) {
        let config_map = |key: &_| self.cluster.config_map(key);
        let at_hand = AtHand {
            config_map: &config_map,
            secrets: &known.secrets,
            maxima: &self.maxima,
        };
        let wanted = wanted::wanted(&known.policies, &known.wanted, &at_hand);
        self.shelf.registry.want(wanted.clone());
        known.wanted = wanted;
    }

    /// One that cannot be read now keeps what it was.
    async fn read_secrets(&self, known: &mut Known) {
        known.asked = Some(Stopwatch::start());
        let wanted = wanted::secrets(&known.policies);
        known.secrets.retain(|key, _| wanted.contains(key));
        let reads = wanted.into_iter().map(|key| {
            let client = self.client.clone();
            async move {
                let read = timeout(ANSWER, pull_secrets::docker_config(&client, &key)).await;
                let read = read.unwrap_or_else(|_| {
                    let (namespace, name) = &key;
                    Err(format!(
                        "Secret {namespace}/{name}: the API server does not answer"
                    ))
                });
                (key, read)
            }
        });
        let mut reads = futures::stream::iter(reads).buffer_unordered(AT_A_TIME);
        while let Some((key, read)) = reads.next().await {
            match (read, known.secrets.get(&key)) {
                (Err(why), Some(Ok(_))) => tracing::warn!(why, "the pull secret stays as it was"),
                (read, _) => drop(known.secrets.insert(key, read.map(Arc::from))),
            }
        }
    }

    async fn tell(&mut self, policies: &PolicyView) {
        let Some(leads_for) = self.leadership.left() else {
            return;
        };
        let now_ms = now_ms();
        let catalogue = self.shelf.catalogue.load_full();
        let seen = self.seen.borrow().clone();
        let used_by = seen.map(|view| statuses::used_by(&view, &self.resolver));
        let wanted = policies.policies.iter().map(|(key, stored)| {
            let loaded = catalogue.policies.get(key);
            let used_by = used_by
                .as_ref()
                .map(|of| of.get(key).cloned().unwrap_or_default());
            statuses::of_policy((key, stored), loaded, used_by, &self.maxima, now_ms)
        });
        let writing = self.writer.write(wanted.collect(), now_ms);
        let failed = timeout(leads_for.min(ANSWER), writing).await;
        for failed in failed.unwrap_or_default() {
            tracing::warn!(failed, "status not written; trying again");
        }
    }
}
