//! The policies of each pool: the same components for all, settings by pool.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Map, Value};
use trimtab_core::policies::{Bound, PoolPolicies};
use trimtab_publish::metrics::{Live, PolicyName};
use trimtab_sandbox::{Sandbox, SandboxedAnalyzer, SandboxedOptimizer};

use super::config::{Config, Policies as Configured, Policy};
use super::watched::Watched;
use crate::binding::{self, Role, Settings};
use crate::reference::Reference;
use crate::summary::Identity;

/// Loaded components, and the settings documents that they are bound with.
pub(super) struct Policies {
    analyzer: Bound<SandboxedAnalyzer>,
    optimizer: Bound<SandboxedOptimizer>,
    names: Vec<PolicyName>,
    /// By document, so that pools with equal settings share one.
    documents: BTreeMap<String, Arc<str>>,
    live: Live,
}

impl Policies {
    /// Loads what the configuration names, and has the policies check their settings.
    pub(super) fn load(sandbox: &Sandbox, configured: &Configured, live: &Live) -> Result<Self> {
        let analyzer = bind(sandbox, &configured.analyzer, "policies.analyzer")?;
        let optimizer = bind(sandbox, &configured.optimizer, "policies.optimizer")?;
        let names = [analyzer.1, optimizer.1].map(|identity| PolicyName {
            digest: identity.digest,
            name: identity.name,
        });
        Ok(Self {
            analyzer: analyzer.0,
            optimizer: optimizer.0,
            names: names.into(),
            documents: BTreeMap::new(),
            live: live.clone(),
        })
    }

    pub(super) fn names(&self) -> Vec<PolicyName> {
        self.names.clone()
    }

    /// Whether the policies take the settings that a configuration has for them, for all pools and
    /// for single ones.
    ///
    /// # Errors
    /// They do not; names the key and what is wrong.
    pub(super) fn check(&self, config: &Config) -> Result<()> {
        let Configured {
            analyzer,
            optimizer,
        } = &config.policies;
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

    /// New settings of the optimizer hold from the next cycle on.
    pub(super) fn set_optimizer(&mut self, settings: &Map<String, Value>) {
        self.optimizer.settings = document(settings).into();
    }

    /// A pool's policies, called within the span that this is; settings that its analyzer does not
    /// take hold the pool, and are told of.
    pub(super) fn of_pool(&mut self, settings: &Map<String, Value>) -> PoolPolicies {
        let text = document(settings);
        let shared = self.documents.entry(text.clone());
        let settings = shared.or_insert_with(|| text.into());
        let mut analyzer = self
            .analyzer
            .map(|policy| Watched::of(policy, &self.live) as _);
        analyzer.settings = Arc::clone(settings);
        PoolPolicies {
            analyzers: vec![analyzer],
            optimizer: self
                .optimizer
                .map(|policy| Watched::of(policy, &self.live) as _),
        }
    }
}

fn bind<R: Role>(sandbox: &Sandbox, policy: &Policy, key: &str) -> Result<(Bound<R>, Identity)> {
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

#[cfg(test)]
mod tests {
    use trimtab_sandbox::SandboxConfig;

    use super::*;
    use crate::run::config::Sources;

    fn config(yaml: &str) -> Config {
        let yaml = format!("prometheus: {{url: http://p}}\n{yaml}");
        Config::load(&Sources {
            file: Some(("config.yaml", &yaml)),
            ..Sources::default()
        })
        .unwrap()
    }

    fn problem(policies: &Policies, yaml: &str) -> Option<String> {
        let checked = policies.check(&config(yaml));
        checked.err().map(|error| format!("{error:#}"))
    }

    #[test]
    fn settings_that_a_policy_does_not_take_are_refused_wherever_they_stand() {
        let sandbox = Sandbox::new(SandboxConfig::default()).unwrap();
        let policies = Policies::load(&sandbox, &config("").policies, &Live::default()).unwrap();
        let problem = |yaml: &str| problem(&policies, yaml);
        for role in ["analyzer", "optimizer"] {
            let told = problem(&format!("policies: {{{role}: {{settings: {{nope: 1}}}}}}"));
            let told = told.unwrap_or_default();
            let place = format!("policies.{role}.settings.nope");
            assert!(
                told.contains(&place) && told.contains("not known"),
                "{told}"
            );
        }
        let pools = "pools: [{pool: a}, {pool: b, analyzerSettings: {headroom: lots}}]";
        let told = problem(pools).unwrap_or_default();
        assert!(
            told.contains("pools[1].analyzerSettings.headroom"),
            "{told}"
        );
        let taken = "pools: [{pool: b, analyzerSettings: {headroom: 0.2}}]";
        assert_eq!(problem(taken), None);
        let both = format!("policies: {{analyzer: {{settings: {{headroom: 0.3}}}}}}\n{taken}");
        assert_eq!(problem(&both), None);
    }
}
