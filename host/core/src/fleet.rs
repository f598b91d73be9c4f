//! What a cluster says of its pools before anything is measured, and what measuring adds: the
//! words in which whoever finds pools and whoever measures them speak, without knowing each other.

use serde::{Deserialize, Serialize};
use trimtab_contract::{Pool, Replica, Workload};

use crate::snapshot::{PoolRules, PoolSnapshot};

/// One pool as the cluster has it.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetPool {
    /// Its workload says nothing yet.
    pub pool: Pool,
    /// Where its endpoint picker is; `None` where the pool has none.
    pub picker: Option<Picker>,
    /// The replicas that serve: those of each variant's `ready_replicas`.
    pub replicas: Vec<FleetReplica>,
    pub rules: PoolRules,
}

/// The endpoint picker in front of a pool. It lives in the pool's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picker {
    /// Name of the InferencePool, as the picker's metrics spell it.
    pub pool: String,
    pub pods: Vec<FleetPod>,
}

/// One unit that the scale subresource counts, with the pods that may report for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetReplica {
    /// Position in the pool's variants.
    pub variant: u32,
    pub name: String,
    /// All pods of it: several for a LeaderWorkerSet group, whose leader alone may report.
    pub pods: Vec<FleetPod>,
    /// Instant at which it became ready, in milliseconds since the Unix epoch.
    pub ready_since_ms: u64,
}

/// A pod in the pool's namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetPod {
    pub name: String,
    pub ip: Option<String>,
}

/// What was measured of one pool.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    pub workload: Workload,
    /// One entry for each of [`FleetPool::replicas`], in their order.
    pub replicas: Vec<Replica>,
    /// Seconds since a request was last in the pool; `None` where that is not known.
    pub idle_seconds: Option<f64>,
    pub metrics: MetricsState,
    /// What an operator should know of the measurements, e.g. two pickers that disagree.
    pub warnings: Vec<String>,
}

/// Whether a pool's measurements are there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MetricsState {
    /// Every serving replica has reported in time.
    Found,
    /// No series of it were found; says which were looked for. Also where nothing serves yet.
    Missing(String),
    /// Some or all are older than the pool's rules allow.
    Stale { age_seconds: f64 },
    /// They could not be asked for; says why.
    Unavailable(String),
}

impl FleetPool {
    /// The pool as a tick takes it.
    #[must_use]
    pub fn measured(self, measured: Measured) -> PoolSnapshot {
        let mut pool = self.pool;
        pool.workload = measured.workload;
        PoolSnapshot {
            pool,
            replicas: measured.replicas,
            idle_seconds: measured.idle_seconds,
            warnings: measured.warnings,
            rules: self.rules,
        }
    }
}
