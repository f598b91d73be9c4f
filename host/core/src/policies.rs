//! What the core asks of a policy, native or sandboxed, and every way in which one can fail.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use trimtab_contract::{
    Analysis, Context, Descriptor, Knowledge, Limits, Plan, Pool, Refusal, Replica, Request,
};

/// SHA-256 of a policy's component, as lower-case hex after `sha256:`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A policy as somebody calls it: the component, under terms (limits, and whose it is) that tell it
/// apart from the same component elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Version {
    pub digest: Digest,
    pub terms: u64,
}

/// A way to fail that is the policy's own: each sends the call down the fallback ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The instruction budget was used up.
    OutOfFuel,
    /// The wall-clock deadline passed.
    Deadline,
    /// More memory was asked for than the call may have.
    OutOfMemory,
    /// The guest trapped: unreachable, out of bounds, stack overflow.
    Trap,
    /// The answer is larger than the host takes.
    OversizedResult,
    /// The returned state is larger than its cap.
    StateTooLarge,
    /// The component cannot be instantiated or called.
    Broken,
    /// The answer came, and is not one that the contract allows.
    InvalidAnswer,
}

/// What went wrong in a call, with the guest's backtrace where there is one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{kind:?}: {message}")]
pub struct Fault {
    pub kind: FaultKind,
    pub message: String,
}

/// Why a call gave no answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallError {
    /// The policy declined: an answer, not a fault.
    Refused(Refusal),
    Fault(Fault),
}

/// Turns measurements of one pool into supply and demand.
///
/// Called once a pool and tick, from several threads at once. Must be a pure function of its
/// arguments: the same arguments give the same answer.
pub trait Analyzer: Send + Sync {
    fn descriptor(&self) -> &Descriptor;
    fn digest(&self) -> &Digest;

    /// See [`Version`].
    fn terms(&self) -> u64 {
        0
    }

    /// # Errors
    /// A refusal by the policy, or a fault of it.
    fn analyze(
        &self,
        context: &Context,
        pool: &Pool,
        replicas: &[Replica],
        knowledge: &[Knowledge],
    ) -> Result<Analysis, CallError>;
}

/// Turns supply and demand of several pools into replica counts.
pub trait Optimizer: Send + Sync {
    fn descriptor(&self) -> &Descriptor;
    fn digest(&self) -> &Digest;

    /// See [`Version`].
    fn terms(&self) -> u64 {
        0
    }

    /// # Errors
    /// A refusal by the policy, or a fault of it.
    fn optimize(
        &self,
        context: &Context,
        requests: &[Request],
        limits: &Limits,
    ) -> Result<Plan, CallError>;
}

/// A policy bound to a pool, with what stands in for it when it faults.
pub struct Bound<P: ?Sized> {
    /// The ladder's rungs: the bound version, its last good version, the built-in of that kind.
    /// Rungs that are the same policy are left out by whoever binds.
    pub rungs: Vec<Arc<P>>,
    /// JSON document for the bound version and its last good one; the built-in gets it only where
    /// it is the bound version itself.
    pub settings: Arc<str>,
    /// Why the bound version is not among the rungs: then all of them stand in for it.
    pub absent: Option<Arc<str>>,
}

impl<P: ?Sized> Clone for Bound<P> {
    fn clone(&self) -> Self {
        Self {
            rungs: self.rungs.clone(),
            settings: Arc::clone(&self.settings),
            absent: self.absent.clone(),
        }
    }
}

impl<P: ?Sized> Bound<P> {
    /// A ladder that begins with the bound version.
    #[must_use]
    pub fn new(rungs: Vec<Arc<P>>, settings: impl Into<Arc<str>>) -> Self {
        Self {
            rungs,
            settings: settings.into(),
            absent: None,
        }
    }

    /// The same ladder, each rung as `of` makes it.
    #[must_use]
    pub fn map<Q: ?Sized>(&self, of: impl Fn(&Arc<P>) -> Arc<Q>) -> Bound<Q> {
        Bound {
            rungs: self.rungs.iter().map(of).collect(),
            settings: Arc::clone(&self.settings),
            absent: self.absent.clone(),
        }
    }
}

/// The policies of one pool.
#[derive(Clone)]
pub struct PoolPolicies {
    /// Their stages stand side by side; see [`trimtab_contract::Request`].
    pub analyzers: Vec<Bound<dyn Analyzer>>,
    /// Pools whose optimizer has the same digest and settings are solved together in one call.
    pub optimizer: Bound<dyn Optimizer>,
}
