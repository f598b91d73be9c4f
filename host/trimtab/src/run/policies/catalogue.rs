//! What ScalingPolicies and PoolPolicies come to: made beside the cycle, which reads it at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use trimtab_cluster::Key;
use trimtab_core::experiment::Experiment;
use trimtab_core::policies::Bound;
use trimtab_sandbox::{Entry, SandboxedAnalyzer, SandboxedOptimizer};

/// All of a cluster.
#[derive(Default)]
pub(crate) struct Catalogue {
    /// ScalingPolicies that can be read, by namespace and name.
    pub(crate) policies: BTreeMap<Key, Loaded>,
    /// PoolPolicies that can be read.
    pub(crate) pool_policies: BTreeMap<Key, Arc<Resolved>>,
}

/// A ScalingPolicy.
#[derive(Clone)]
pub(crate) struct Loaded {
    /// `None` until the registry has heard of it.
    pub(crate) entry: Option<Arc<Entry>>,
    /// Why it does not take the settings of its object.
    pub(crate) unfit: Option<String>,
}

/// What a PoolPolicy binds its pools to.
#[derive(Default)]
pub(crate) struct Resolved {
    /// None are the configuration's.
    pub(crate) analyzers: Vec<Use<SandboxedAnalyzer>>,
    /// `None` is the configuration's.
    pub(crate) optimizer: Option<Use<SandboxedOptimizer>>,
    pub(crate) shadows: Vec<Candidate>,
    pub(crate) experiment: Option<(Experiment, Candidate)>,
    /// What is not as the object asks for.
    pub(crate) problems: Vec<Problem>,
    /// Pools are told of these in each decision: versions that were rolled back.
    pub(crate) rolled_back: Vec<String>,
}

/// One policy of a pool.
pub(crate) enum Use<R> {
    /// The configuration's, with these settings over the pool's.
    Default(Map<String, Value>),
    Bound(Bound<R>),
}

/// Policies that might stand in for a pool's own.
#[derive(Default)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    /// `None` are the pool's own.
    pub(crate) analyzers: Option<Vec<Use<SandboxedAnalyzer>>>,
    pub(crate) optimizer: Option<Use<SandboxedOptimizer>>,
    /// Why it cannot be asked.
    pub(crate) lacks: Option<Problem>,
}

/// Why a policy that is asked for does not decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// In the words of a condition.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}
