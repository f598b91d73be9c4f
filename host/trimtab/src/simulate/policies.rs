//! The policies that decide in a simulation, with what stands in for them when they fault.

use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Result;
use trimtab_core::policies::{Bound, PoolPolicies};
use trimtab_sandbox::{Sandbox, SandboxedAnalyzer, SandboxedOptimizer};
use trimtab_sim::scenario::{PolicyChoice, Scenario};

use crate::arguments::SimulateArguments;
use crate::binding::{self, Role, Settings};
use crate::reference::Reference;
use crate::summary::{Identity, Policies};

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
        let analyzer =
            bind::<SandboxedAnalyzer>(sandbox, arguments.analyzer.as_ref(), &scenario.analyzer())?;
        let optimizer = bind::<SandboxedOptimizer>(
            sandbox,
            arguments.optimizer.as_ref(),
            &scenario.optimizer(),
        )?;
        Ok(Self {
            identities: Policies {
                analyzer: analyzer.1,
                optimizer: optimizer.1,
            },
            policies: PoolPolicies {
                analyzers: vec![analyzer.0.map(|policy| Arc::clone(policy) as _)],
                optimizer: optimizer.0.map(|policy| Arc::clone(policy) as _),
            },
        })
    }
}

fn bind<R: Role>(
    sandbox: &Sandbox,
    named: Option<&Reference>,
    choice: &PolicyChoice,
) -> Result<(Bound<R>, Identity)> {
    let chosen = match named {
        Some(reference) => reference.clone(),
        None => choice
            .reference
            .parse()
            .unwrap_or_else(|never: Infallible| match never {}),
    };
    let settings = Settings {
        document: &choice.settings,
        place: &choice.settings_place,
    };
    binding::bind(sandbox, &chosen, &settings)
}
