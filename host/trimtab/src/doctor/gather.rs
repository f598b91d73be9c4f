//! Finding the facts out. Nothing that cannot be asked keeps the rest from being asked.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::Api;
use kube::core::GroupVersionKind;
use tokio::time::timeout;
use trimtab_cluster::delegation::Owner;
use trimtab_cluster::refusal::explained;
use trimtab_cluster::rights::{self, FRONT_PROXY, Need, RIGHTS, Right, Scope, Who};
use trimtab_cluster::served::{self, served};
use trimtab_cluster::view::{METRIC, PoolView, VariantView, View};
use trimtab_cluster::{Cluster, crd, delegation, lease, own_pod};
use trimtab_core::fleet::{FleetPool, MetricsState};
use trimtab_core::snapshot::Mode;
use trimtab_observe::{Client as Prometheus, Measurer, Queries};

use super::facts::{Answer, Asked, External, Facts, Leader, PoolFacts, Said, VariantFacts};
use crate::run::clock::now_ms;
use crate::run::config::{Actuation, Address, Config, PoolEntry, PoolIdentity, PoolSettings};
use crate::run::policies::entry;
use crate::run::wiring::{self, Clients};

/// Questions that are asked at the same time.
const CONCURRENCY: usize = 8;
/// How often it is looked whether the cluster is known.
const LOOK: Duration = Duration::from_millis(200);

/// Kinds that not every cluster has: group, version, kind, and as which they are told of.
const KINDS: [(&str, &str, &str, &str); 7] = [
    (
        "inference.networking.k8s.io",
        "v1",
        "InferencePool",
        "InferencePool v1",
    ),
    (
        "inference.networking.x-k8s.io",
        "v1alpha2",
        "InferencePool",
        "InferencePool v1alpha2",
    ),
    (
        "leaderworkerset.x-k8s.io",
        "v1",
        "LeaderWorkerSet",
        "LeaderWorkerSet",
    ),
    ("keda.sh", "v1alpha1", "ScaledObject", "KEDA's ScaledObject"),
    ("resource.k8s.io", "v1", "ResourceSlice", "ResourceSlice v1"),
    ("trimtab.dev", "v1alpha1", "ScalingPolicy", "ScalingPolicy"),
    ("trimtab.dev", "v1alpha1", "PoolPolicy", "PoolPolicy"),
];

/// Whoever asks, and about what.
pub(super) struct Asking<'a> {
    pub(super) clients: &'a Clients,
    pub(super) config: &'a Config,
    /// Entries from WVA's ConfigMaps.
    pub(super) inherited: &'a [PoolEntry],
    pub(super) who: &'a Who,
    /// The operator's own namespace.
    pub(super) namespace: String,
    /// How long the cluster may take to be known.
    pub(super) patience: Duration,
}

fn answer<T>(asked: Result<T, kube::Error>, rights: &str) -> Answer<T> {
    asked.map_err(|error| explained(&error, rights))
}

impl Asking<'_> {
    pub(super) async fn facts(&self) -> Facts {
        let client = &self.clients.asking;
        let (view, missing) = self.view().await;
        let definition = answer(
            crd::installed(client).await,
            "`get` of customresourcedefinitions",
        );
        let kinds = self.kinds().await;
        let external = self.external().await;
        let ours = matches!(external.owner, Ok(Owner::Ours { .. }));
        let mut absent: BTreeSet<&str> = KINDS
            .iter()
            .zip(&kinds)
            .filter(|(_, (_, found))| *found == Ok(false))
            .map(|((group, ..), _)| *group)
            .collect();
        if definition == Ok(None) {
            absent.insert("llmd.ai");
        }
        let rights = self.rights(&absent, ours).await;
        let (prometheus, measured) = self.measured(&view).await;
        let mut pools = Vec::with_capacity(view.pools.len());
        for (position, pool) in view.pools.iter().enumerate() {
            let metrics = measured.get(position).cloned();
            pools.push(self.pool(&view, pool, metrics, ours).await);
        }
        let refused = view.refused.iter();
        Facts {
            now_ms: now_ms(),
            whom: self.who.to_string(),
            exists: self.exists().await,
            definition,
            kinds,
            rights,
            leader: self.leader().await,
            external,
            prometheus,
            missing,
            pools,
            refused: refused
                .map(|of| (of.claimant.to_string(), of.message.clone()))
                .collect(),
        }
    }

    /// The cluster as the operator would see it, and what of it did not come in time.
    async fn view(&self) -> (Arc<View>, Vec<String>) {
        let watching = self.clients.watching.clone();
        let config = wiring::cluster(self.config).unwrap_or_default();
        let cluster = Cluster::start(watching, config, self.config.namespaces.clone());
        let known = async {
            while !cluster.missing().is_empty() {
                tokio::time::sleep(LOOK).await;
            }
        };
        // What did not come is told of.
        let _ = timeout(self.patience, known).await;
        (cluster.view(), cluster.missing())
    }

    /// Whether whoever is asked about exists.
    async fn exists(&self) -> Answer<bool> {
        let Who::ServiceAccount { namespace, name } = self.who else {
            return Ok(true);
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.clients.asking.clone(), namespace);
        let account = accounts.get_metadata_opt(name).await;
        answer(account, "`get` of serviceaccounts").map(|account| account.is_some())
    }

    async fn kinds(&self) -> Vec<(&'static str, Answer<bool>)> {
        let mut kinds = Vec::with_capacity(KINDS.len());
        for (group, version, kind, told) in KINDS {
            let gvk = GroupVersionKind::gvk(group, version, kind);
            let found = answer(served(&self.clients.asking, &gvk).await, served::RIGHTS);
            kinds.push((told, found.map(|found| found.is_some())));
        }
        kinds
    }

    async fn external(&self) -> External {
        let client = &self.clients.asking;
        let service = (
            self.namespace.as_str(),
            self.config.external_metrics.service.as_str(),
        );
        let rights = "`get` of apiservices";
        External {
            service: format!("{}/{}", service.0, service.1),
            owner: answer(delegation::owner(client, service).await, rights),
            unavailable: answer(delegation::unavailable(client).await, rights),
        }
    }

    async fn leader(&self) -> Option<Leader> {
        if !self.config.leader_election.enabled {
            return None;
        }
        let (client, namespace) = (&self.clients.asking, self.namespace.as_str());
        let name = self.config.lease_name();
        let labelled = own_pod::labelled(client, namespace, &name).await;
        Some(Leader {
            held: answer(
                lease::held(client, namespace, &name).await,
                "`get` of leases",
            ),
            labelled: answer(labelled, "`list` of pods"),
            lease: format!("{namespace}/{name}"),
        })
    }

    async fn rights(&self, absent: &BTreeSet<&str>, ours: bool) -> Vec<Asked> {
        let rights = RIGHTS.iter().chain([&FRONT_PROXY]);
        let wanted = rights.filter(|of| !absent.contains(of.group) && self.needs(of, ours));
        let asked = wanted.flat_map(|right| {
            let places = self.places(right.scope).into_iter();
            places.map(|namespace| self.ask(*right, namespace))
        });
        futures::stream::iter(asked)
            .buffered(CONCURRENCY)
            .collect()
            .await
    }

    /// Namespaces that a right is needed in; `None` for all, or for what is in none.
    fn places(&self, scope: Scope) -> Vec<Option<String>> {
        match scope {
            Scope::Cluster => vec![None],
            Scope::Own => vec![Some(self.namespace.clone())],
            Scope::KubeSystem => vec![Some("kube-system".to_owned())],
            Scope::Watched if self.config.namespaces.is_empty() => vec![None],
            Scope::Watched => self.config.namespaces.iter().cloned().map(Some).collect(),
        }
    }

    fn needs(&self, right: &Right, ours: bool) -> bool {
        let config = self.config;
        let serves = ours || config.listen.external_metrics != Address::Off;
        let elects = config.leader_election.enabled;
        match right.need {
            Need::Always => elects || right.resource != "leases",
            Need::LeaderLabel => elects,
            Need::WithKind | Need::Comfort(_) => true,
            Need::Scaling => config.scale_from_zero.enabled || config.scales_directly(),
            Need::Inventory => config.limit_to_inventory && config.namespaces.is_empty(),
            Need::Tolerance => config.manage_hpa_tolerance,
            Need::ExternalMetrics => serves,
            Need::OwnCertificate => serves && config.external_metrics.cert_file.is_none(),
        }
    }

    /// Of WVA's ConfigMaps, those of single namespaces are got, and those of all are listed.
    fn is_idle(&self, right: &Right, verb: &str) -> bool {
        let idle = match self.config.namespaces.is_empty() {
            true => "get",
            false => "list",
        };
        right.resource == "configmaps" && right.scope == Scope::Watched && verb == idle
    }

    /// The one object that a right may be limited to. What is yet to be made has no name.
    fn object(&self, right: &Right, verb: &str) -> Option<&str> {
        match right.resource {
            "secrets" if verb != "create" => Some(&self.config.external_metrics.secret),
            _ => right.object(),
        }
    }

    async fn ask(&self, right: Right, namespace: Option<String>) -> Asked {
        let mut lacks = Ok(Vec::new());
        let client = &self.clients.asking;
        for verb in right.verbs {
            if self.is_idle(&right, verb) {
                continue;
            }
            let place = (namespace.as_deref(), self.object(&right, verb));
            let allowed = rights::allowed(client, self.who, (&right, verb), place);
            match allowed.await {
                Ok(true) => {}
                Ok(false) => lacks.iter_mut().for_each(|lacks| lacks.push(*verb)),
                Err(error) => {
                    lacks = Err(explained(&error, delegation::ACCESS_RIGHTS));
                    break;
                }
            }
        }
        Asked {
            right,
            namespace,
            lacks,
        }
    }

    /// One pass of measuring: whether Prometheus answers, and how each pool is measured.
    async fn measured(&self, view: &View) -> (Answer<()>, Vec<MetricsState>) {
        let prometheus = wiring::prometheus(self.config).map_err(|error| format!("{error:#}"));
        let connected = prometheus.and_then(|config| {
            let client = Prometheus::new(&config).map_err(told)?;
            Ok((client, config.windows))
        });
        let (client, windows) = match connected {
            Ok(connected) => connected,
            Err(why) => return (Err(why), Vec::new()),
        };
        let now = now_ms();
        let queries = Queries::new(windows);
        let answers = client.ask(queries.iter(), now).await;
        let mut failures = answers.by_topic.values().filter_map(|of| of.as_ref().err());
        if answers.by_topic.values().all(Result::is_err) {
            let why = failures.next().map_or_else(|| "no answer".to_owned(), told);
            return (Err(why), Vec::new());
        }
        let fleet: Vec<FleetPool> = view
            .pools
            .iter()
            .map(|pool| self.fleet(view, pool))
            .collect();
        let measured = Measurer::new(windows).measure(&fleet, &answers, now);
        let states = measured.into_iter().map(|pool| pool.metrics);
        (Ok(()), states.collect())
    }

    fn fleet(&self, view: &View, pool: &PoolView) -> FleetPool {
        let mut fleet = pool.fleet.clone();
        fleet.rules = self.settings(view, pool).rules;
        fleet
    }

    fn settings(&self, view: &View, pool: &PoolView) -> PoolSettings {
        let bound = view.policies.of_pool(&pool.fleet);
        let bound = bound.map(|(_, spec)| entry(spec));
        self.config
            .pool(self.inherited, bound.as_ref(), identity(pool))
    }

    async fn pool(
        &self,
        view: &View,
        pool: &PoolView,
        metrics: Option<MetricsState>,
        ours: bool,
    ) -> PoolFacts {
        let settings = self.settings(view, pool);
        let of = &pool.fleet.pool;
        let direct = settings.actuation == Actuation::Direct;
        let told = match of.variants.first() {
            Some(first) if ours && !direct => {
                let client = &self.clients.asking;
                let told = delegation::told(client, &of.namespace, METRIC, &first.name).await;
                Some(answer(
                    told,
                    "`list` of wva_desired_replicas.external.metrics.k8s.io",
                ))
            }
            _ => None,
        };
        let variants = pool.variants.iter().zip(&of.variants);
        PoolFacts {
            name: format!("{}/{}", of.namespace, of.name),
            enforced: settings.rules.mode == Mode::Enforce,
            direct,
            serving: pool.fleet.replicas.len(),
            metrics,
            told,
            variants: variants
                .map(|(view, variant)| VariantFacts {
                    name: variant.name.clone(),
                    target: view.target.to_string(),
                    max_replicas: variant.max_replicas,
                    scalers: view.scalers.clone(),
                    said: said(view),
                    warnings: view.warnings.clone(),
                })
                .collect(),
        }
    }
}

/// What the operator says in the object's status that is not well.
fn said(view: &VariantView) -> Vec<Said> {
    let bad = view.said_false();
    bad.map(|(kind, reason, message)| Said {
        kind: kind.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
    })
    .collect()
}

fn told(error: impl Display) -> String {
    error.to_string()
}

fn identity(pool: &PoolView) -> PoolIdentity<'_> {
    let of = &pool.fleet.pool;
    PoolIdentity {
        namespace: &of.namespace,
        pool: &of.name,
        model: &of.model,
    }
}
