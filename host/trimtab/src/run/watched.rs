//! Policies as a cycle calls them: each call in a span of its own, and counted with what it used.

use std::sync::Arc;

use tracing::field::Empty;
use tracing::{Span, info_span};
use trimtab_contract::{
    Analysis, Context, Descriptor, Knowledge, Limits, Plan, Pool, Replica, Request,
};
use trimtab_core::policies::{Analyzer, CallError, Digest, Optimizer};
use trimtab_publish::metrics::{Live, PolicyRole};
use trimtab_sandbox::{Called, SandboxedAnalyzer, SandboxedOptimizer};

/// A policy that is called from threads which know nothing of the cycle.
pub(super) struct Watched<P> {
    policy: Arc<P>,
    cycle: Span,
    live: Live,
}

impl<P> Watched<P> {
    /// Its calls are within the span in which this is asked.
    pub(super) fn of(policy: &Arc<P>, live: &Live) -> Arc<Self> {
        Arc::new(Self {
            policy: Arc::clone(policy),
            cycle: Span::current(),
            live: live.clone(),
        })
    }
}

impl Analyzer for Watched<SandboxedAnalyzer> {
    fn descriptor(&self) -> &Descriptor {
        self.policy.descriptor()
    }

    fn digest(&self) -> &Digest {
        self.policy.digest()
    }

    fn analyze(
        &self,
        context: &Context,
        pool: &Pool,
        replicas: &[Replica],
        knowledge: &[Knowledge],
    ) -> Result<Analysis, CallError> {
        let span = info_span!(
            parent: &self.cycle,
            "analyze",
            namespace = pool.namespace,
            pool = pool.name,
            model = pool.model,
            policy = self.descriptor().name,
            fuel = Empty,
        );
        let _within = span.enter();
        let called = self.policy.call(context, pool, replicas, knowledge);
        let of = (self.descriptor().name.as_str(), self.digest());
        answer(called, PolicyRole::Analyzer, of, &self.live)
    }
}

impl Optimizer for Watched<SandboxedOptimizer> {
    fn descriptor(&self) -> &Descriptor {
        self.policy.descriptor()
    }

    fn digest(&self) -> &Digest {
        self.policy.digest()
    }

    fn optimize(
        &self,
        context: &Context,
        requests: &[Request],
        limits: &Limits,
    ) -> Result<Plan, CallError> {
        let span = info_span!(
            parent: &self.cycle,
            "optimize",
            pools = requests.len(),
            policy = self.descriptor().name,
            fuel = Empty,
        );
        let _within = span.enter();
        let called = self.policy.call(context, requests, limits);
        let of = (self.descriptor().name.as_str(), self.digest());
        answer(called, PolicyRole::Optimizer, of, &self.live)
    }
}

fn answer<T>(
    called: Called<T>,
    role: PolicyRole,
    of: (&str, &Digest),
    live: &Live,
) -> Result<T, CallError> {
    let used = called.stats;
    Span::current().record("fuel", used.fuel);
    live.policy_call(role, of, used.fuel, used.wall.as_secs_f64());
    if let Err(error) = &called.answer {
        tracing::debug!(?error, "no answer");
    }
    called.answer
}
