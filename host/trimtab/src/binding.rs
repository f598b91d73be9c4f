//! Policies bound to pools, each with what stands in for it when it faults.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use trimtab_core::policies::{Analyzer, Bound, Digest, Optimizer};
use trimtab_sandbox::{Limits, Policy, Sandbox, SandboxedAnalyzer, SandboxedOptimizer};

use crate::reference::Reference;
use crate::settings;
use crate::summary::Identity;

/// Last rungs of the fallback ladder.
pub(crate) const ANALYZER: &str = "queueing-analyzer";
pub(crate) const OPTIMIZER: &str = "cost-optimizer";

/// Settings for a policy, and where they stand, for messages.
pub(crate) struct Settings<'a> {
    /// A JSON document.
    pub(crate) document: &'a str,
    /// File and key.
    pub(crate) place: &'a str,
}

/// A role that a component may have.
pub(crate) trait Role: Sized {
    const NAME: &'static str;
    /// The shipped policy of this kind.
    const BUILTIN: &'static str;

    fn of(policy: &Policy) -> Option<Arc<Self>>;
    fn digest(&self) -> &Digest;
    /// What its calls may use.
    fn limits(&self) -> Limits;
    fn identity(&self) -> Identity;
    /// The same, with calls that take no longer than this, in milliseconds.
    #[must_use]
    fn within(&self, milliseconds: u64) -> Self;
    /// # Errors
    /// The settings do not fit the policy's schema, or it refuses them itself.
    fn check(&self, settings: &Settings<'_>) -> Result<()>;
}

impl Role for SandboxedAnalyzer {
    const NAME: &'static str = "analyzer";
    const BUILTIN: &'static str = ANALYZER;

    fn of(policy: &Policy) -> Option<Arc<Self>> {
        policy.sandboxed_analyzer().cloned()
    }

    fn digest(&self) -> &Digest {
        Analyzer::digest(self)
    }

    fn limits(&self) -> Limits {
        Self::limits(self)
    }

    fn identity(&self) -> Identity {
        Identity::new(self.descriptor(), Analyzer::digest(self))
    }

    fn within(&self, milliseconds: u64) -> Self {
        Self::within(self, milliseconds)
    }

    fn check(&self, given: &Settings<'_>) -> Result<()> {
        settings::check(self.descriptor(), given, || {
            settings::try_analyzer(self, given.document)
        })
    }
}

impl Role for SandboxedOptimizer {
    const NAME: &'static str = "optimizer";
    const BUILTIN: &'static str = OPTIMIZER;

    fn of(policy: &Policy) -> Option<Arc<Self>> {
        policy.sandboxed_optimizer().cloned()
    }

    fn digest(&self) -> &Digest {
        Optimizer::digest(self)
    }

    fn limits(&self) -> Limits {
        Self::limits(self)
    }

    fn identity(&self) -> Identity {
        Identity::new(self.descriptor(), Optimizer::digest(self))
    }

    fn within(&self, milliseconds: u64) -> Self {
        Self::within(self, milliseconds)
    }

    fn check(&self, given: &Settings<'_>) -> Result<()> {
        settings::check(self.descriptor(), given, || {
            settings::try_optimizer(self, given.document)
        })
    }
}

/// The ladder's rungs for a reference: the policy itself, then the built-in of its kind.
pub(crate) fn rungs<R: Role>(sandbox: &Sandbox, reference: &Reference) -> Result<Vec<Arc<R>>> {
    let chosen = role::<R>(sandbox, reference)?;
    let builtin = role::<R>(sandbox, &Reference::Builtin(R::BUILTIN.to_owned()))?;
    let same = builtin.digest() == chosen.digest();
    let mut rungs = vec![chosen];
    if !same {
        rungs.push(builtin);
    }
    Ok(rungs)
}

/// A policy with settings that it takes.
pub(crate) fn bind<R: Role>(
    sandbox: &Sandbox,
    reference: &Reference,
    settings: &Settings<'_>,
) -> Result<(Bound<R>, Identity)> {
    let rungs = rungs::<R>(sandbox, reference)?;
    let first = rungs.first().context("a ladder has a first rung")?;
    first.check(settings)?;
    let identity = first.identity();
    Ok((Bound::new(rungs, settings.document), identity))
}

fn role<R: Role>(sandbox: &Sandbox, reference: &Reference) -> Result<Arc<R>> {
    let policy = reference.load(sandbox)?;
    R::of(&policy).with_context(|| format!("policy `{reference}` has no role `{}`", R::NAME))
}
