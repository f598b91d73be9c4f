//! The policies that decide in a simulation, with what stands in for them when they fault.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use trimtab_core::policies::{Analyzer, Bound, Digest, Optimizer, PoolPolicies};
use trimtab_sandbox::{Policy, Sandbox};
use trimtab_sim::scenario::{PolicyChoice, Scenario};

use super::settings;
use crate::arguments::SimulateArguments;
use crate::reference::Reference;
use crate::summary::{Identity, Policies};

/// Last rungs of the fallback ladder.
const ANALYZER: &str = "queueing-analyzer";
const OPTIMIZER: &str = "cost-optimizer";

/// An analyzer and an optimizer, for every pool alike.
pub(crate) struct Decider {
    pub(crate) policies: PoolPolicies,
    pub(crate) identities: Policies,
}

impl Decider {
    /// Loads what the command line names, else what the scenario names. The scenario's settings
    /// hold for either.
    pub(crate) fn load(
        sandbox: &Sandbox,
        scenario: &Scenario,
        arguments: &SimulateArguments,
    ) -> Result<Self> {
        let analyzer = bind::<dyn Analyzer>(
            sandbox,
            arguments.analyzer.as_ref(),
            scenario.analyzer(),
            ANALYZER,
        )?;
        let optimizer = bind::<dyn Optimizer>(
            sandbox,
            arguments.optimizer.as_ref(),
            scenario.optimizer(),
            OPTIMIZER,
        )?;
        Ok(Self {
            identities: Policies {
                analyzer: analyzer.1,
                optimizer: optimizer.1,
            },
            policies: PoolPolicies {
                analyzers: vec![analyzer.0],
                optimizer: optimizer.0,
            },
        })
    }
}

/// A role that a component may have.
trait Role {
    const NAME: &'static str;

    fn of(policy: &Policy) -> Option<Arc<Self>>;
    fn digest(&self) -> &Digest;
    fn identity(&self) -> Identity;
    fn check(&self, choice: &PolicyChoice) -> Result<()>;
}

impl Role for dyn Analyzer {
    const NAME: &'static str = "analyzer";

    fn of(policy: &Policy) -> Option<Arc<Self>> {
        policy.analyzer()
    }

    fn digest(&self) -> &Digest {
        Analyzer::digest(self)
    }

    fn identity(&self) -> Identity {
        Identity::new(self.descriptor(), Analyzer::digest(self))
    }

    fn check(&self, choice: &PolicyChoice) -> Result<()> {
        settings::check(self.descriptor(), choice, || {
            settings::try_analyzer(self, &choice.settings)
        })
    }
}

impl Role for dyn Optimizer {
    const NAME: &'static str = "optimizer";

    fn of(policy: &Policy) -> Option<Arc<Self>> {
        policy.optimizer()
    }

    fn digest(&self) -> &Digest {
        Optimizer::digest(self)
    }

    fn identity(&self) -> Identity {
        Identity::new(self.descriptor(), Optimizer::digest(self))
    }

    fn check(&self, choice: &PolicyChoice) -> Result<()> {
        settings::check(self.descriptor(), choice, || {
            settings::try_optimizer(self, &choice.settings)
        })
    }
}

fn bind<R: Role + ?Sized>(
    sandbox: &Sandbox,
    named: Option<&Reference>,
    choice: PolicyChoice,
    builtin: &str,
) -> Result<(Bound<R>, Identity)> {
    let chosen = match named {
        Some(reference) => reference.clone(),
        None => choice
            .reference
            .parse()
            .unwrap_or_else(|never: Infallible| match never {}),
    };
    let bound = role::<R>(sandbox, &chosen)?;
    bound.check(&choice)?;
    let identity = bound.identity();
    let builtin = role::<R>(sandbox, &Reference::Builtin(builtin.to_owned()))?;
    let mut rungs = vec![bound];
    if *builtin.digest() != identity.digest {
        rungs.push(builtin);
    }
    Ok((
        Bound {
            rungs,
            settings: choice.settings.into(),
        },
        identity,
    ))
}

fn role<R: Role + ?Sized>(sandbox: &Sandbox, reference: &Reference) -> Result<Arc<R>> {
    let policy = reference.load(sandbox)?;
    R::of(&policy).with_context(|| format!("policy `{reference}` has no role `{}`", R::NAME))
}
