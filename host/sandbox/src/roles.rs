//! The two roles of a component as the core calls them. A call is an instance: they hold nothing
//! that one call could leave for another.

use std::sync::Arc;

use trimtab_contract::{
    Analysis, Context, Descriptor, Knowledge, Limits as Supply, Plan, Pool, Refusal, Replica,
    Request,
};
use trimtab_core::policies::{Analyzer, CallError, Digest, Optimizer};
use wasmtime::component::{Component, ComponentExportIndex, ComponentNamedList, Lift, Lower};

use crate::call::{Called, Guest};
use crate::error::{ANALYZER, LoadError, OPTIMIZER};
use crate::fault;
use crate::limits::{Allowance, InputSize, Limits};

type Analyze<'a> = (&'a Context, &'a Pool, &'a [Replica], &'a [Knowledge]);
type Optimize<'a> = (&'a Context, &'a [Request], &'a Supply);

/// An analyzer in the sandbox.
pub struct SandboxedAnalyzer(Role);

/// An optimizer in the sandbox.
pub struct SandboxedOptimizer(Role);

/// What both roles have.
#[derive(Clone)]
struct Role {
    guest: Arc<Guest>,
    function: ComponentExportIndex,
    limits: Limits,
    /// Whose it is, as a number.
    owner: u64,
    digest: Digest,
    descriptor: Descriptor,
}

/// A component whose roles are being loaded.
pub(crate) struct Loading<'a> {
    pub(crate) component: &'a Component,
    pub(crate) guest: &'a Arc<Guest>,
    pub(crate) limits: Limits,
    pub(crate) digest: &'a Digest,
}

impl SandboxedAnalyzer {
    pub(crate) fn load(from: &Loading<'_>) -> Result<Self, LoadError> {
        Role::load::<Analyze<'static>, Analysis>(from, ANALYZER, "analyze").map(Self)
    }

    pub(crate) fn owned_by(&self, owner: u64) -> Self {
        Self(Role {
            owner,
            ..self.0.clone()
        })
    }

    pub(crate) fn with_limits(&self, limits: Limits) -> Self {
        Self(Role {
            limits,
            ..self.0.clone()
        })
    }

    /// What its calls may use.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// The same, with calls that take no longer than this, in milliseconds.
    #[must_use]
    pub fn within(&self, milliseconds: u64) -> Self {
        self.with_limits(self.0.limits.within(milliseconds))
    }

    /// Like [`Analyzer::analyze`], and says what the call used.
    #[must_use]
    pub fn call(
        &self,
        context: &Context,
        pool: &Pool,
        replicas: &[Replica],
        knowledge: &[Knowledge],
    ) -> Called<Analysis> {
        let size = InputSize {
            variants: count(pool.variants.len()),
            replicas: count(replicas.len()),
            memory_bytes: remembered(context).saturating_add(bytes_of(knowledge)),
        };
        let state = |analysis: &Analysis| analysis.state.len();
        self.0
            .call((context, pool, replicas, knowledge), size, state)
    }
}

impl Analyzer for SandboxedAnalyzer {
    fn descriptor(&self) -> &Descriptor {
        &self.0.descriptor
    }

    fn digest(&self) -> &Digest {
        &self.0.digest
    }

    fn terms(&self) -> u64 {
        self.0.limits.terms() ^ self.0.owner
    }

    fn analyze(
        &self,
        context: &Context,
        pool: &Pool,
        replicas: &[Replica],
        knowledge: &[Knowledge],
    ) -> Result<Analysis, CallError> {
        self.call(context, pool, replicas, knowledge).answer
    }
}

impl SandboxedOptimizer {
    pub(crate) fn load(from: &Loading<'_>) -> Result<Self, LoadError> {
        Role::load::<Optimize<'static>, Plan>(from, OPTIMIZER, "optimize").map(Self)
    }

    pub(crate) fn owned_by(&self, owner: u64) -> Self {
        Self(Role {
            owner,
            ..self.0.clone()
        })
    }

    pub(crate) fn with_limits(&self, limits: Limits) -> Self {
        Self(Role {
            limits,
            ..self.0.clone()
        })
    }

    /// What its calls may use.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.0.limits
    }

    /// The same, with calls that take no longer than this, in milliseconds.
    #[must_use]
    pub fn within(&self, milliseconds: u64) -> Self {
        self.with_limits(self.0.limits.within(milliseconds))
    }

    /// Like [`Optimizer::optimize`], and says what the call used.
    #[must_use]
    pub fn call(&self, context: &Context, requests: &[Request], supply: &Supply) -> Called<Plan> {
        let variants = requests
            .iter()
            .map(|request| count(request.pool.variants.len()))
            .sum();
        let size = InputSize {
            variants,
            replicas: 0,
            memory_bytes: remembered(context),
        };
        self.0
            .call((context, requests, supply), size, |plan: &Plan| {
                plan.state.len()
            })
    }
}

impl Optimizer for SandboxedOptimizer {
    fn descriptor(&self) -> &Descriptor {
        &self.0.descriptor
    }

    fn digest(&self) -> &Digest {
        &self.0.digest
    }

    fn terms(&self) -> u64 {
        self.0.limits.terms() ^ self.0.owner
    }

    fn optimize(
        &self,
        context: &Context,
        requests: &[Request],
        supply: &Supply,
    ) -> Result<Plan, CallError> {
        self.call(context, requests, supply).answer
    }
}

impl Role {
    /// Finds the role's functions, lets it describe itself and checks the type of the other one.
    fn load<P, A>(
        from: &Loading<'_>,
        interface: &'static str,
        function: &'static str,
    ) -> Result<Self, LoadError>
    where
        P: ComponentNamedList + Lower,
        A: Lift + 'static,
    {
        let instance = from.component.get_export_index(None, interface);
        let find = |function| {
            from.component
                .get_export_index(instance.as_ref(), function)
                .ok_or_else(|| LoadError::WrongSignature {
                    interface,
                    function,
                    why: "it is not exported".into(),
                })
        };
        let (describe, function_index) = (find("describe")?, find(function)?);
        let allowance = Allowance::new(&from.limits, InputSize::default());
        let (described, _) = from.guest.call::<(), Descriptor>(&describe, (), &allowance);
        let descriptor = described.map_err(|fault| LoadError::Describe { interface, fault })?;
        from.guest
            .check::<P, Result<A, Refusal>>(&function_index, &allowance)
            .map_err(|why| LoadError::WrongSignature {
                interface,
                function,
                why,
            })?;
        Ok(Self {
            guest: Arc::clone(from.guest),
            function: function_index,
            limits: from.limits,
            owner: 0,
            digest: from.digest.clone(),
            descriptor,
        })
    }

    fn call<P, A>(&self, arguments: P, size: InputSize, state: impl Fn(&A) -> usize) -> Called<A>
    where
        P: ComponentNamedList + Lower,
        A: Lift + 'static,
    {
        let allowance = Allowance::new(&self.limits, size);
        let (answer, stats) =
            self.guest
                .call::<P, Result<A, Refusal>>(&self.function, arguments, &allowance);
        let answer = match answer {
            Ok(Ok(answer)) if count(state(&answer)) > allowance.state_bytes => Err(
                CallError::Fault(fault::of_state(state(&answer), &allowance)),
            ),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(refusal)) => Err(CallError::Refused(refusal)),
            Err(fault) => Err(CallError::Fault(fault)),
        };
        Called { answer, stats }
    }
}

/// Bytes of state and settings.
fn remembered(context: &Context) -> u64 {
    count(context.state.len()).saturating_add(count(context.settings.len()))
}

fn bytes_of(knowledge: &[Knowledge]) -> u64 {
    let texts =
        |known: &Knowledge| known.model.len() + known.accelerator.len() + known.quantity.len();
    let entries = knowledge.iter();
    count(
        entries
            .map(|known| size_of::<Knowledge>() + texts(known))
            .sum(),
    )
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
