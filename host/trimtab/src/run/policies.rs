//! The policies of each pool: the configuration's, or those that its PoolPolicy names.

mod catalogue;
mod checks;
mod entry;
pub(super) mod keeper;
mod resolve;
pub(super) mod statuses;
mod wanted;
mod wrap;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use trimtab_cluster::Key;
use trimtab_core::binding::Binding;
use trimtab_core::decision::{Condition, condition};
use trimtab_core::experiment::Experiment;
use trimtab_core::fleet::FleetPool;
use trimtab_core::memory::Memory;
use trimtab_core::policies::Bound;
use trimtab_core::shadow::Shadow;
use trimtab_publish::metrics::{Live, PolicyName};
use trimtab_sandbox::Sandbox;

use self::catalogue::{Catalogue, Resolved};
pub(crate) use self::entry::entry;
use self::keeper::Shelf;
pub(super) use self::resolve::{Defaults, Resolver};
use self::wrap::{Wrap, own_seed};
use super::config::{Config, Policies as Configured, Policy as ConfiguredPolicy};
use super::watched::Meter;
use crate::binding::{self, Role, Settings};
use crate::reference::Reference;
use crate::summary::Identity;

/// What pools are bound with.
pub(super) struct Policies {
    defaults: Defaults,
    names: Vec<PolicyName>,
    shelf: Arc<Shelf>,
    /// By document, so that pools with equal settings share one.
    documents: BTreeMap<String, Arc<str>>,
    live: Live,
}

/// How long candidates in shadow may take.
pub(super) struct ShadowTime {
    pub(super) meter: Arc<Meter>,
    /// Of one call, in milliseconds.
    pub(super) longest_ms: u64,
}

impl Policies {
    /// Binds with what the configuration names, and what is on the shelf.
    pub(super) fn new(
        defaults: (Defaults, Vec<PolicyName>),
        shelf: Arc<Shelf>,
        live: &Live,
    ) -> Self {
        let (defaults, names) = defaults;
        Self {
            defaults,
            names,
            shelf,
            documents: BTreeMap::new(),
            live: live.clone(),
        }
    }

    /// Names of all that may decide.
    pub(super) fn names(&self) -> Vec<PolicyName> {
        let table = self.shelf.registry.table();
        let entries = table.entries.values();
        let versions = entries.flat_map(|entry| entry.current.iter().chain(&entry.last_good));
        let loaded = versions.map(|policy| PolicyName {
            digest: policy.digest().clone(),
            name: policy.descriptor().name.clone(),
        });
        self.names.iter().cloned().chain(loaded).collect()
    }

    /// Whether the policies take the settings that a configuration has for them, for all pools and
    /// for single ones.
    ///
    /// # Errors
    /// They do not; names the key and what is wrong.
    pub(super) fn check(&self, config: &Config) -> Result<()> {
        self.defaults.check(config)
    }

    /// New settings of the optimizer hold from the next cycle on.
    pub(super) fn set_optimizer(&mut self, settings: &Map<String, Value>) {
        self.defaults.optimizer.settings = document(settings).into();
    }

    /// What cycles from now on bind with: one look for all pools of a cycle.
    pub(super) fn catalogue(&self) -> Arc<Catalogue> {
        self.shelf.catalogue.load_full()
    }

    /// A pool's policies, called within the span that this is; settings that its analyzer does not
    /// take hold the pool, and are told of. `settings` are the analyzer's.
    pub(super) fn bind(
        &mut self,
        pool: &FleetPool,
        holder: Option<&Key>,
        settings: &Map<String, Value>,
        catalogue: &Catalogue,
        time: &ShadowTime,
    ) -> Binding {
        let mut wrap = Wrap {
            policies: self,
            settings,
            time: None,
        };
        let Some(key) = holder else {
            return wrap.own(&Resolved::default()).into();
        };
        let Some(resolved) = catalogue.pool_policies.get(key) else {
            let why = format!("PoolPolicy {}/{} was not looked at yet", key.0, key.1);
            return wrap.standing_in(&why).into();
        };
        let policies = wrap.own(resolved);
        let rolled_back = resolved.rolled_back.iter();
        let conditions = rolled_back
            .map(|why| Condition::new(condition::POLICY_ROLLED_BACK, why.as_str()))
            .collect();
        let trial = resolved.experiment.as_ref();
        let trial = trial.map(|(rules, candidate)| {
            let rules = Experiment {
                seed: own_seed(rules.seed, pool),
                ..rules.clone()
            };
            wrap.trial(rules, candidate, &policies)
        });
        wrap.time = Some(time);
        let candidates = resolved.shadows.iter();
        let shadows = candidates.filter_map(|candidate| {
            Some(Shadow {
                name: candidate.name.clone(),
                policies: wrap.candidate(candidate, resolved)?,
            })
        });
        Binding {
            shadows: shadows.collect(),
            policies,
            trial,
            conditions,
        }
    }

    /// Passes on how versions began, after a cycle has decided: one that is good stands in for later
    /// ones, one that is not makes room.
    pub(super) fn judge(&self, memory: &Memory) {
        let registry = &self.shelf.registry;
        registry.good(&memory.good());
        let failed = memory.failed();
        if !failed.is_empty() {
            registry.quarantine(&failed);
        }
    }
}

impl Defaults {
    /// Loads what the configuration names, and has the policies check their settings.
    pub(super) fn load(
        sandbox: &Sandbox,
        configured: &Configured,
    ) -> Result<(Self, Vec<PolicyName>)> {
        let analyzer = bind(sandbox, &configured.analyzer, "policies.analyzer")?;
        let optimizer = bind(sandbox, &configured.optimizer, "policies.optimizer")?;
        let names = [analyzer.1, optimizer.1].map(|identity| PolicyName {
            digest: identity.digest,
            name: identity.name,
        });
        let defaults = Self {
            analyzer: analyzer.0,
            optimizer: optimizer.0,
        };
        Ok((defaults, names.into()))
    }

    /// See [`Policies::check`].
    ///
    /// # Errors
    /// They do not; names the key and what is wrong.
    pub(super) fn check(&self, config: &Config) -> Result<()> {
        let (analyzer, optimizer) = (&config.policies.analyzer, &config.policies.optimizer);
        check(
            &self.analyzer,
            &analyzer.settings,
            "policies.analyzer.settings",
        )?;
        check(
            &self.optimizer,
            &optimizer.settings,
            "policies.optimizer.settings",
        )?;
        for (position, entry) in config.pools.iter().enumerate() {
            let mut settings = analyzer.settings.clone();
            settings.extend(entry.analyzer_settings.clone());
            let place = format!("pools[{position}].analyzerSettings");
            check(&self.analyzer, &settings, &place)?;
        }
        Ok(())
    }
}

fn bind<R: Role>(
    sandbox: &Sandbox,
    policy: &ConfiguredPolicy,
    key: &str,
) -> Result<(Bound<R>, Identity)> {
    let reference: Reference = policy
        .policy
        .parse()
        .unwrap_or_else(|never: Infallible| match never {});
    let settings = Settings {
        document: &document(&policy.settings),
        place: &format!("{key}.settings"),
    };
    binding::bind(sandbox, &reference, &settings)
}

/// The first rung is the policy that is named.
fn check<R: Role>(bound: &Bound<R>, settings: &Map<String, Value>, place: &str) -> Result<()> {
    let document = &document(settings);
    let settings = Settings { document, place };
    bound
        .rungs
        .first()
        .map_or(Ok(()), |policy| policy.check(&settings))
}

fn document(settings: &Map<String, Value>) -> String {
    Value::Object(settings.clone()).to_string()
}

/// The same number for the same text, on every machine.
fn number(text: &str) -> u64 {
    let digest: [u8; 32] = Sha256::digest(text).into();
    let (head, _) = digest.split_at(size_of::<u64>());
    head.try_into().map_or(0, u64::from_be_bytes)
}
