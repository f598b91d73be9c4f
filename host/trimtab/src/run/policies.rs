//! The policies of each pool: the same components for all, settings by pool.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use anyhow::Result;
use serde_json::{Map, Value};
use trimtab_core::policies::{Analyzer, Bound, Optimizer, PoolPolicies};
use trimtab_publish::metrics::PolicyName;
use trimtab_sandbox::Sandbox;

use super::config::{Policies as Configured, Policy};
use crate::binding::{self, Role, Settings};
use crate::reference::Reference;
use crate::summary::Identity;

/// Loaded components, and the settings documents that they are bound with.
pub(super) struct Policies {
    analyzers: Vec<Arc<dyn Analyzer>>,
    optimizer: Bound<dyn Optimizer>,
    names: Vec<PolicyName>,
    /// By document, so that pools with equal settings share one.
    documents: BTreeMap<String, Arc<str>>,
}

impl Policies {
    /// Loads what the configuration names, and has the policies check their settings.
    pub(super) fn load(sandbox: &Sandbox, configured: &Configured) -> Result<Self> {
        let analyzer = bind::<dyn Analyzer>(sandbox, &configured.analyzer, "policies.analyzer")?;
        let optimizer =
            bind::<dyn Optimizer>(sandbox, &configured.optimizer, "policies.optimizer")?;
        let names = [analyzer.1, optimizer.1].map(|identity| PolicyName {
            digest: identity.digest,
            name: identity.name,
        });
        Ok(Self {
            analyzers: analyzer.0.rungs,
            optimizer: optimizer.0,
            names: names.into(),
            documents: BTreeMap::new(),
        })
    }

    pub(super) fn names(&self) -> Vec<PolicyName> {
        self.names.clone()
    }

    /// New settings of the optimizer hold from the next cycle on.
    pub(super) fn set_optimizer(&mut self, settings: &Map<String, Value>) {
        self.optimizer.settings = document(settings).into();
    }

    /// A pool's policies; settings that its analyzer does not take hold the pool, and are told of.
    pub(super) fn of_pool(&mut self, settings: &Map<String, Value>) -> PoolPolicies {
        let text = document(settings);
        let shared = self.documents.entry(text.clone());
        let settings = shared.or_insert_with(|| text.into());
        PoolPolicies {
            analyzers: vec![Bound {
                rungs: self.analyzers.clone(),
                settings: Arc::clone(settings),
            }],
            optimizer: self.optimizer.clone(),
        }
    }
}

fn bind<R: Role + ?Sized>(
    sandbox: &Sandbox,
    policy: &Policy,
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

fn document(settings: &Map<String, Value>) -> String {
    Value::Object(settings.clone()).to_string()
}
