//! Policies as the core calls them, each call within the cycle's span and counted.

use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use trimtab_core::binding::Trial;
use trimtab_core::experiment::Experiment;
use trimtab_core::fleet::FleetPool;
use trimtab_core::policies::{Analyzer, Bound, Optimizer, PoolPolicies};
use trimtab_sandbox::{SandboxedAnalyzer, SandboxedOptimizer};

use super::catalogue::{Candidate, Resolved, Use};
use super::{Policies, ShadowTime, document, number};
use crate::binding::Role;
use crate::run::watched::Watched;

/// Makes policies into what the core calls.
pub(super) struct Wrap<'a> {
    pub(super) policies: &'a mut Policies,
    pub(super) settings: &'a Map<String, Value>,
    /// Of candidates in shadow.
    pub(super) time: Option<&'a ShadowTime>,
}

impl Wrap<'_> {
    /// The pool's own policies.
    pub(super) fn own(&mut self, resolved: &Resolved) -> PoolPolicies {
        let mut analyzers: Vec<_> = resolved
            .analyzers
            .iter()
            .map(|of| self.analyzer(of))
            .collect();
        if analyzers.is_empty() {
            analyzers.push(self.analyzer(&Use::Default(Map::new())));
        }
        let default = Use::Default(Map::new());
        let optimizer = resolved.optimizer.as_ref().unwrap_or(&default);
        PoolPolicies {
            analyzers,
            optimizer: self.optimizer(optimizer),
        }
    }

    /// The configuration's in place of what is not known yet.
    pub(super) fn standing_in(&mut self, why: &str) -> PoolPolicies {
        let mut policies = self.own(&Resolved::default());
        for analyzer in &mut policies.analyzers {
            analyzer.absent = Some(why.into());
        }
        policies.optimizer.absent = Some(why.into());
        policies
    }

    /// `None` where a policy of it cannot be had.
    pub(super) fn candidate(&mut self, of: &Candidate, own: &Resolved) -> Option<PoolPolicies> {
        if of.lacks.is_some() {
            return None;
        }
        let own_policies = self.own(own);
        let analyzers = of.analyzers.as_ref();
        let optimizer = of.optimizer.as_ref();
        Some(PoolPolicies {
            analyzers: match analyzers {
                Some(uses) => uses.iter().map(|of| self.analyzer(of)).collect(),
                None => own_policies.analyzers,
            },
            optimizer: optimizer.map_or(own_policies.optimizer, |of| self.optimizer(of)),
        })
    }

    pub(super) fn trial(
        &mut self,
        rules: Experiment,
        candidate: &Candidate,
        own: &PoolPolicies,
    ) -> Trial {
        let policies = (candidate.lacks.is_none()).then(|| PoolPolicies {
            analyzers: match &candidate.analyzers {
                Some(uses) => uses.iter().map(|of| self.analyzer(of)).collect(),
                None => own.analyzers.clone(),
            },
            optimizer: match &candidate.optimizer {
                Some(of) => self.optimizer(of),
                None => own.optimizer.clone(),
            },
        });
        let identity = policies.as_ref().map(|policies| {
            let both = [identity(own), identity(policies)].join(" against ");
            hex::encode(Sha256::digest(both))
        });
        Trial {
            rules: Experiment {
                identity: identity.unwrap_or_default(),
                ..rules
            },
            candidate: policies,
        }
    }

    fn analyzer(&mut self, of: &Use<SandboxedAnalyzer>) -> Bound<dyn Analyzer> {
        let default = self.policies.defaults.analyzer.clone();
        let bound = match of {
            Use::Bound(bound) => bound.clone(),
            Use::Default(settings) => {
                let mut all = self.settings.clone();
                all.extend(settings.clone());
                self.with_settings(default, &all)
            }
        };
        bound.map(|policy| self.watched(policy) as _)
    }

    fn optimizer(&mut self, of: &Use<SandboxedOptimizer>) -> Bound<dyn Optimizer> {
        let default = self.policies.defaults.optimizer.clone();
        let bound = match of {
            Use::Bound(bound) => bound.clone(),
            Use::Default(settings) if settings.is_empty() => default,
            Use::Default(settings) => {
                let mut all: Map<String, Value> =
                    serde_json::from_str(&default.settings).unwrap_or_default();
                all.extend(settings.clone());
                self.with_settings(default, &all)
            }
        };
        bound.map(|policy| self.watched(policy) as _)
    }

    fn watched<R: Role>(&self, policy: &Arc<R>) -> Arc<Watched<R>> {
        let live = &self.policies.live;
        match self.time {
            Some(time) => Watched::in_shadow(policy.within(time.longest_ms), live, &time.meter),
            None => Watched::of(policy, live),
        }
    }

    fn with_settings<P: ?Sized>(
        &mut self,
        bound: Bound<P>,
        settings: &Map<String, Value>,
    ) -> Bound<P> {
        let text = document(settings);
        let documents = &mut self.policies.documents;
        let shared = documents.entry(text.clone()).or_insert_with(|| text.into());
        Bound {
            settings: Arc::clone(shared),
            ..bound
        }
    }
}

/// Pools of one seed would switch together, and their results depend on each other.
pub(super) fn own_seed(seed: u64, pool: &FleetPool) -> u64 {
    number(&format!(
        "{seed} {}/{}",
        pool.pool.namespace, pool.pool.name
    ))
}

/// What decides, in words that change when anything of it does.
fn identity(policies: &PoolPolicies) -> String {
    let analyzers = policies.analyzers.iter();
    let mut words: Vec<String> = analyzers
        .filter_map(|bound| {
            Some(format!(
                "{} {}",
                bound.rungs.first()?.digest(),
                bound.settings
            ))
        })
        .collect();
    let optimizer = &policies.optimizer;
    let first = optimizer.rungs.first();
    words.extend(first.map(|first| format!("{} {}", first.digest(), optimizer.settings)));
    words.join(", ")
}
