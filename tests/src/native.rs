//! Policies called as plain Rust, without the sandbox: for benchmarks, and to compare both.

use std::marker::PhantomData;
use std::sync::Arc;

use trimtab_contract::{
    Analysis, Context, Descriptor, Knowledge, Limits, Plan, Pool, Replica, Request,
};
use trimtab_core::policies::{self, CallError, Digest};

/// An analyzer's crate, called natively.
#[must_use]
pub fn analyzer<P: trimtab_sdk::Analyzer + Send + Sync + 'static>() -> Arc<dyn policies::Analyzer> {
    Arc::new(Native::<P>::new(P::describe()))
}

/// An optimizer's crate, called natively.
#[must_use]
pub fn optimizer<P: trimtab_sdk::Optimizer + Send + Sync + 'static>() -> Arc<dyn policies::Optimizer>
{
    Arc::new(Native::<P>::new(P::describe()))
}

struct Native<P> {
    descriptor: Descriptor,
    digest: Digest,
    policy: PhantomData<P>,
}

impl<P> Native<P> {
    fn new(descriptor: Descriptor) -> Self {
        let digest = Digest(format!("native:{}", descriptor.name));
        Self {
            descriptor,
            digest,
            policy: PhantomData,
        }
    }
}

impl<P: trimtab_sdk::Analyzer + Send + Sync> policies::Analyzer for Native<P> {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn analyze(
        &self,
        context: &Context,
        pool: &Pool,
        replicas: &[Replica],
        knowledge: &[Knowledge],
    ) -> Result<Analysis, CallError> {
        P::analyze(context, pool, replicas, knowledge).map_err(CallError::Refused)
    }
}

impl<P: trimtab_sdk::Optimizer + Send + Sync> policies::Optimizer for Native<P> {
    fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    fn digest(&self) -> &Digest {
        &self.digest
    }

    fn optimize(
        &self,
        context: &Context,
        requests: &[Request],
        limits: &Limits,
    ) -> Result<Plan, CallError> {
        P::optimize(context, requests, limits).map_err(CallError::Refused)
    }
}
