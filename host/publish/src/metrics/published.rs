//! What is told to the metrics of a cycle: plain data.

use std::collections::BTreeMap;

use trimtab_contract::Accelerator;
use trimtab_core::decision::PoolDecision;
use trimtab_core::fleet::MetricsState;
use trimtab_core::policies::Digest;

/// What one cycle saw and decided.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Published {
    /// Milliseconds since the Unix epoch at which it was decided.
    pub now_ms: u64,
    /// The same on a clock that nobody sets.
    pub steady_ms: u64,
    /// Only the leader's counts of replicas are shown.
    pub leader: bool,
    pub decisions: Vec<PoolDecision>,
    /// Names of the variants that KEDA's ScaledObjects scale, by namespace and name of these.
    pub scaled_objects: BTreeMap<(String, String), String>,
    /// What the measurements of each pool were like.
    pub pools: Vec<PoolMetrics>,
    /// GPUs by accelerator; `None` where the inventory cannot be discovered.
    pub inventory: Option<Vec<Accelerator>>,
    /// Names of the policies that are bound. A policy that only ever faults names itself nowhere
    /// else.
    pub policies: Vec<PolicyName>,
    /// The cycle's queries to Prometheus.
    pub queries: Vec<Query>,
}

/// What the measurements of one pool were like.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolMetrics {
    pub namespace: String,
    pub pool: String,
    pub state: MetricsState,
    /// Age of the oldest measurement that was used; `None` where there was none.
    pub age_seconds: Option<f64>,
}

/// What became of a cycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It decided.
    Done,
    /// Its process does not lead: it looked on.
    Observed,
    /// It was due while the one before it still ran.
    Skipped,
    /// It ended without a decision.
    Failed,
}

/// Parts of a cycle, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// What the cluster has.
    Observe,
    /// What Prometheus says of it.
    Measure,
    /// The policies and the guard.
    Decide,
    /// Metrics, status, events.
    Publish,
}

/// How long one stage took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageSeconds {
    pub stage: Stage,
    pub seconds: f64,
}

/// What a policy is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyRole {
    Analyzer,
    Optimizer,
}

/// A policy's name, as it describes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyName {
    pub digest: Digest,
    pub name: String,
}

/// One query to Prometheus.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// What it asks for: of a closed vocabulary.
    pub kind: &'static str,
    pub seconds: f64,
    /// Why it has no answer: of a closed vocabulary. `None` where it has one.
    pub error: Option<&'static str>,
}

/// The program that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    pub version: &'static str,
    /// Commit that it was built from, where that is known.
    pub revision: Option<&'static str>,
}

impl Outcome {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Observed => "observed",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
        }
    }
}

impl Stage {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Measure => "measure",
            Self::Decide => "decide",
            Self::Publish => "publish",
        }
    }
}

impl PolicyRole {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Analyzer => "analyzer",
            Self::Optimizer => "optimizer",
        }
    }
}
