//! The policies of each pool: the same components for all, settings by pool.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Map, Value};
use trimtab_core::policies::{Bound, PoolPolicies};
use trimtab_publish::metrics::{Live, PolicyName};
use trimtab_sandbox::{Sandbox, SandboxedAnalyzer, SandboxedOptimizer};

use super::config::{Policies as Configured, Policy};
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

fn document(settings: &Map<String, Value>) -> String {
    Value::Object(settings.clone()).to_string()
}
