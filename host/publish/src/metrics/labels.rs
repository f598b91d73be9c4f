//! Labels, whose names are those of the fields.

use prometheus_client::encoding::EncodeLabelSet;
use trimtab_core::decision::PoolDecision;

/// As WVA labels its replica metrics.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct Variant {
    pub(super) variant_name: String,
    pub(super) namespace: String,
    pub(super) accelerator_type: String,
}

/// A change of a variant's count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct Change {
    pub(super) variant_name: String,
    pub(super) namespace: String,
    pub(super) accelerator_type: String,
    pub(super) direction: &'static str,
    pub(super) reason: &'static str,
}

/// A count that was decided, whether or not it is published.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct Decided {
    pub(super) namespace: String,
    pub(super) pool: String,
    pub(super) variant: String,
    pub(super) mode: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct Freshness {
    pub(super) variant_name: String,
    pub(super) namespace: String,
    pub(super) status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct Pool {
    pub(super) namespace: String,
    pub(super) pool: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct PoolCondition {
    pub(super) namespace: String,
    pub(super) pool: String,
    pub(super) reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct PoolState {
    pub(super) namespace: String,
    pub(super) pool: String,
    pub(super) state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Service {
    /// Namespace and name.
    pub(super) service: String,
}

/// As WVA labels its inventory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct AcceleratorType {
    pub(super) accelerator_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
pub(super) struct Accelerator {
    pub(super) accelerator: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Build {
    pub(super) version: &'static str,
    pub(super) revision: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Status {
    pub(super) status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Result {
    pub(super) result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Stage {
    pub(super) stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Error {
    pub(super) component: &'static str,
    pub(super) error_type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Policy {
    pub(super) role: &'static str,
    pub(super) policy: String,
    pub(super) digest: String,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PolicyFault {
    pub(super) role: &'static str,
    pub(super) policy: String,
    pub(super) digest: String,
    pub(super) kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PolicyFuel {
    pub(super) role: &'static str,
    pub(super) policy: String,
    pub(super) digest: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PolicyDuration {
    pub(super) role: &'static str,
    pub(super) policy: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Rule {
    pub(super) rule: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Query {
    pub(super) query: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct QueryError {
    pub(super) query: &'static str,
    pub(super) reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct Api {
    pub(super) verb: &'static str,
    pub(super) resource: String,
    pub(super) code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ApiDuration {
    pub(super) verb: &'static str,
    pub(super) resource: String,
}

/// What WVA calls an accelerator that is not known.
const UNRESOLVED: &str = "unresolved";

impl Variant {
    pub(super) fn new(namespace: &str, name: &str, accelerator: &str) -> Self {
        let accelerator = match accelerator {
            "" => UNRESOLVED,
            known => known,
        };
        Self {
            variant_name: name.to_owned(),
            namespace: namespace.to_owned(),
            accelerator_type: accelerator.to_owned(),
        }
    }
}

impl Pool {
    pub(super) fn of(pool: &PoolDecision) -> Self {
        Self {
            namespace: pool.namespace.clone(),
            pool: pool.pool.clone(),
        }
    }
}
