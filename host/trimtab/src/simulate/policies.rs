//! The policies of a simulation: who decides in each pool, who is tried there, and who comes when.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use trimtab_core::binding::{Binding, Trial};
use trimtab_core::experiment::Experiment;
use trimtab_core::policies::{Bound, PoolPolicies};
use trimtab_core::shadow::Shadow;
use trimtab_sandbox::{Sandbox, SandboxedAnalyzer, SandboxedOptimizer};
use trimtab_sim::controller::Swap;
use trimtab_sim::scenario::{Choices, PolicyChoice, PoolChoices, Scenario, SwapChoice};
use trimtab_sim::spec::Spec;
use trimtab_sim::tried::Deciding;

use super::shelf::{self, Shelf, after_swap};
use crate::arguments::SimulateArguments;
use crate::binding::Role;
use crate::reference::Reference;
use crate::summary::{Identity, Policies};

/// What the engine runs with.
pub(crate) struct Decider {
    /// One for each pool.
    pub(crate) bindings: Vec<Binding>,
    /// In order of time.
    pub(crate) swaps: Vec<Swap>,
    pub(crate) identities: Policies,
}

/// Policies of a pool.
#[derive(Clone)]
struct Own {
    analyzers: Vec<Bound<SandboxedAnalyzer>>,
    optimizer: Bound<SandboxedOptimizer>,
}

/// Policies in place of some of a pool's own.
struct Chosen {
    analyzers: Option<Vec<Bound<SandboxedAnalyzer>>>,
    optimizer: Option<Bound<SandboxedOptimizer>>,
}

/// All that is bound to a pool, in parts that a swap puts together anew.
struct PoolParts {
    own: Own,
    shadows: Vec<(String, Chosen)>,
    experiment: Option<(Experiment, Chosen)>,
}

impl Decider {
    /// Loads what the scenario names, each component once, and has the policies check their
    /// settings. What the command line names takes the place of the scenario's own policies; the
    /// scenario's settings hold for either, and pools that name policies keep them.
    pub(crate) fn load(
        sandbox: &Sandbox,
        (scenario, spec): (&Scenario, &Spec),
        arguments: &SimulateArguments,
    ) -> Result<Self> {
        let mut shelf = Shelf::new(sandbox);
        let analyzer = default(
            &mut shelf,
            arguments.analyzer.as_ref(),
            &scenario.analyzer(),
        )?;
        let optimizer = default(
            &mut shelf,
            arguments.optimizer.as_ref(),
            &scenario.optimizer(),
        )?;
        let identities = (analyzer.1, optimizer.1);
        let default = Own {
            analyzers: vec![analyzer.0],
            optimizer: optimizer.0,
        };
        let choices = scenario.pools(spec)?;
        let mut pools = choices
            .iter()
            .map(|choices| PoolParts::load(&mut shelf, choices, &default))
            .collect::<Result<Vec<_>>>()?;
        let bindings: Vec<Binding> = pools.iter().map(PoolParts::binding).collect();
        let named = choices.iter().zip(&bindings).enumerate();
        let named = named.filter(|(_, (choices, _))| choices.own != Choices::default());
        let named = named.map(|(pool, (_, binding))| (pool, Deciding::of(&binding.policies)));
        Ok(Self {
            identities: Policies {
                analyzer: identities.0,
                optimizer: identities.1,
                pools: named.collect(),
            },
            swaps: swaps(&mut shelf, &scenario.swaps(spec)?, &mut pools)?,
            bindings,
        })
    }
}

/// What the command line names, else what the scenario does.
fn default<R: Role>(
    shelf: &mut Shelf<'_>,
    named: Option<&Reference>,
    choice: &PolicyChoice,
) -> Result<(Bound<R>, Identity)> {
    let reference = named.cloned().unwrap_or_else(|| shelf::reference(choice));
    let bound = shelf.bind::<R>(&reference, choice)?;
    let first = bound.rungs.first().context("a ladder has a first rung")?;
    let identity = first.identity();
    Ok((bound, identity))
}

/// Each swap changes what the next one of its pool finds.
fn swaps(
    shelf: &mut Shelf<'_>,
    choices: &[SwapChoice],
    pools: &mut [PoolParts],
) -> Result<Vec<Swap>> {
    let mut swaps = Vec::new();
    for choice in choices {
        let chosen = Chosen::load(shelf, &choice.policies)?;
        let Some(pool) = pools.get_mut(choice.pool) else {
            continue;
        };
        pool.own = chosen.after(&pool.own);
        swaps.push(Swap {
            at_seconds: choice.at_seconds,
            pool: choice.pool,
            binding: pool.binding(),
        });
    }
    Ok(swaps)
}

impl PoolParts {
    fn load(shelf: &mut Shelf<'_>, choices: &PoolChoices, default: &Own) -> Result<Self> {
        let own = Chosen::load(shelf, &choices.own)?.over(default);
        let mut shadows = Vec::new();
        for (name, choices) in &choices.shadows {
            shadows.push((name.clone(), Chosen::load(shelf, choices)?));
        }
        let experiment = choices.experiment.as_ref();
        let experiment = experiment.map(|(rules, candidate)| {
            let candidate = Chosen::load(shelf, candidate)?;
            anyhow::Ok((rules.clone(), candidate))
        });
        Ok(Self {
            own,
            shadows,
            experiment: experiment.transpose()?,
        })
    }

    fn binding(&self) -> Binding {
        let policies = self.own.policies();
        let trial = self.experiment.as_ref().map(|(rules, candidate)| {
            let candidate = candidate.over(&self.own).policies();
            let identity = format!("{} against {}", words(&policies), words(&candidate));
            Trial {
                rules: Experiment {
                    identity,
                    ..rules.clone()
                },
                candidate: Some(candidate),
            }
        });
        let shadows = self.shadows.iter().map(|(name, chosen)| Shadow {
            name: name.clone(),
            policies: chosen.over(&self.own).policies(),
        });
        Binding {
            shadows: shadows.collect(),
            policies,
            trial,
            conditions: Vec::new(),
        }
    }
}

impl Chosen {
    fn load(shelf: &mut Shelf<'_>, choices: &Choices) -> Result<Self> {
        let analyzers = choices.analyzers.as_ref();
        let analyzers =
            analyzers.map(|each| each.iter().map(|choice| shelf.named(choice)).collect());
        let analyzers = analyzers.transpose()?;
        let optimizer = choices.optimizer.as_ref();
        let optimizer = optimizer.map(|choice| shelf.named(choice)).transpose()?;
        Ok(Self {
            analyzers,
            optimizer,
        })
    }

    /// In place of a pool's own.
    fn over(&self, own: &Own) -> Own {
        let analyzers = self.analyzers.as_ref().unwrap_or(&own.analyzers);
        let optimizer = self.optimizer.as_ref().unwrap_or(&own.optimizer);
        Own {
            analyzers: analyzers.clone(),
            optimizer: optimizer.clone(),
        }
    }

    /// From a swap on: what was there before is the last good version.
    fn after(&self, before: &Own) -> Own {
        let mut own = self.over(before);
        if self.analyzers.is_some() {
            for (position, analyzer) in own.analyzers.iter_mut().enumerate() {
                *analyzer = after_swap(before.analyzers.get(position), analyzer);
            }
        }
        if self.optimizer.is_some() {
            own.optimizer = after_swap(Some(&before.optimizer), &own.optimizer);
        }
        own
    }
}

impl Own {
    fn policies(&self) -> PoolPolicies {
        let analyzers = self.analyzers.iter();
        PoolPolicies {
            analyzers: analyzers
                .map(|bound| bound.map(|policy| Arc::clone(policy) as _))
                .collect(),
            optimizer: self.optimizer.map(|policy| Arc::clone(policy) as _),
        }
    }
}

/// What decides, in words that change when anything of it does.
fn words(policies: &PoolPolicies) -> String {
    let deciding = Deciding::of(policies);
    let all = deciding.analyzers.iter().chain(&deciding.optimizer);
    let words = all.map(|policy| format!("{} {}", policy.digest, policy.settings));
    words.collect::<Vec<_>>().join(", ")
}
