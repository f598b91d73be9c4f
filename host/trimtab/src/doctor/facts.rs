//! What was found of a cluster. Whatever could not be asked has the reason in its place.

use trimtab_cluster::crd::Installed;
use trimtab_cluster::delegation::Owner;
use trimtab_cluster::lease::Held;
use trimtab_cluster::rights::Right;
use trimtab_cluster::view::ScalerView;
use trimtab_core::fleet::MetricsState;

/// What the answer is, or why there is none.
pub(super) type Answer<T> = Result<T, String>;

#[derive(Debug)]
pub(super) struct Facts {
    pub(super) now_ms: u64,
    /// Whose rights were asked about.
    pub(super) whom: String,
    /// Whether there is anybody of that name.
    pub(super) exists: Answer<bool>,
    pub(super) definition: Answer<Option<Installed>>,
    /// Other kinds, and whether the cluster has them.
    pub(super) kinds: Vec<(&'static str, Answer<bool>)>,
    pub(super) rights: Vec<Asked>,
    /// `None` where no election is wanted.
    pub(super) leader: Option<Leader>,
    pub(super) external: External,
    /// Whether Prometheus answers.
    pub(super) prometheus: Answer<()>,
    /// What of the cluster did not become known in time.
    pub(super) missing: Vec<String>,
    pub(super) pools: Vec<PoolFacts>,
    /// Claims that came to nothing, and why.
    pub(super) refused: Vec<(String, String)>,
}

/// Verbs of a right that are refused, or were not told of.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) right: Right,
    /// `None`: in all namespaces, or in none.
    pub(super) namespace: Option<String>,
    pub(super) lacks: Answer<Vec<&'static str>>,
}

#[derive(Debug)]
pub(super) struct Leader {
    pub(super) lease: String,
    pub(super) held: Answer<Option<Held>>,
    /// Pods that are labelled as the leader.
    pub(super) labelled: Answer<Vec<String>>,
}

#[derive(Debug)]
pub(super) struct External {
    /// Namespace and name of the Service that would be ours.
    pub(super) service: String,
    pub(super) owner: Answer<Owner>,
    pub(super) unavailable: Answer<Option<String>>,
}

#[derive(Debug)]
pub(super) struct PoolFacts {
    /// `namespace/name`.
    pub(super) name: String,
    /// Whether what is decided is given to anybody.
    pub(super) enforced: bool,
    /// Whether it is scaled by us.
    pub(super) direct: bool,
    /// Replicas that serve.
    pub(super) serving: usize,
    /// `None` where Prometheus was not asked.
    pub(super) metrics: Option<MetricsState>,
    /// What HPAs are told of its first variant; `None` where they are not told by us.
    pub(super) told: Option<Answer<Option<String>>>,
    pub(super) variants: Vec<VariantFacts>,
}

/// A condition that the operator says is false.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) kind: String,
    pub(super) reason: String,
    pub(super) message: String,
}

#[derive(Debug)]
pub(super) struct VariantFacts {
    pub(super) name: String,
    pub(super) target: String,
    pub(super) max_replicas: u32,
    pub(super) scalers: Vec<ScalerView>,
    pub(super) said: Vec<Said>,
    pub(super) warnings: Vec<String>,
}
