//! Policies as a cycle calls them: each call in a span of its own, and counted with what it used.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
    /// Where the time of calls is added up, of one that is asked in shadow.
    meter: Option<Arc<Meter>>,
}

/// Time that calls took together.
#[derive(Debug, Default)]
pub(super) struct Meter(AtomicU64);

impl Meter {
    fn add(&self, spent: Duration) {
        let micros = u64::try_from(spent.as_micros()).unwrap_or(u64::MAX);
        self.0.fetch_add(micros, Ordering::Relaxed);
    }

    /// Seconds since it was made.
    pub(super) fn seconds(&self) -> f64 {
        self.0.load(Ordering::Relaxed) as f64 / 1e6
    }
}

impl<P> Watched<P> {
    /// Its calls are within the span in which this is asked.
    pub(super) fn of(policy: &Arc<P>, live: &Live) -> Arc<Self> {
        Arc::new(Self {
            policy: Arc::clone(policy),
            cycle: Span::current(),
            live: live.clone(),
            meter: None,
        })
    }

    /// One that is asked in shadow: its time is added up, and not counted as a decision's.
    pub(super) fn in_shadow(policy: P, live: &Live, meter: &Arc<Meter>) -> Arc<Self> {
        Arc::new(Self {
            policy: Arc::new(policy),
            cycle: Span::current(),
            live: live.clone(),
            meter: Some(Arc::clone(meter)),
        })
    }

    fn took<T>(
        &self,
        called: Called<T>,
        role: PolicyRole,
        of: (&str, &Digest),
    ) -> Result<T, CallError> {
        let used = called.stats;
        Span::current().record("fuel", used.fuel);
        match &self.meter {
            Some(meter) => meter.add(used.wall),
            None => {
                let seconds = used.wall.as_secs_f64();
                self.live.policy_call(role, of, used.fuel, seconds);
            }
        }
        if let Err(error) = &called.answer {
            tracing::debug!(?error, "no answer");
        }
        called.answer
    }
}

impl Analyzer for Watched<SandboxedAnalyzer> {
    fn descriptor(&self) -> &Descriptor {
        self.policy.descriptor()
    }

    fn digest(&self) -> &Digest {
        self.policy.digest()
    }

    fn terms(&self) -> u64 {
        self.policy.terms()
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
        self.took(called, PolicyRole::Analyzer, of)
    }
}

impl Optimizer for Watched<SandboxedOptimizer> {
    fn descriptor(&self) -> &Descriptor {
        self.policy.descriptor()
    }

    fn digest(&self) -> &Digest {
        self.policy.digest()
    }

    fn terms(&self) -> u64 {
        self.policy.terms()
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
        self.took(called, PolicyRole::Optimizer, of)
    }
}
