//! One call: a fresh instance in a store of its own, metered, and gone afterwards.

use std::sync::Arc;
use std::time::{Duration, Instant};

use trimtab_core::policies::{CallError, Fault};
use wasmtime::component::{
    ComponentExportIndex, ComponentNamedList, InstancePre, Lift, Lower, TypedFunc,
};
use wasmtime::{ResourceLimiter, Store};

use crate::engine::Runtime;
use crate::fault;
use crate::limits::{Allowance, to_usize};
use crate::ticker::{Running, Ticker};

/// What a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallStats {
    /// Deterministic: the same arguments use the same.
    pub fuel: u64,
    /// Most linear memory and tables held at once.
    pub peak_memory_bytes: u64,
    /// From the making of the instance until its end.
    pub wall: Duration,
}

/// An answer, and what it took to get it.
#[derive(Clone, Debug)]
pub struct Called<T> {
    pub answer: Result<T, CallError>,
    pub stats: CallStats,
}

/// A component that is ready to be called.
pub(crate) struct Guest {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) instance: InstancePre<Meter>,
}

impl Guest {
    /// Calls one exported function. The store, and with it all that the guest did, is dropped on
    /// every path.
    pub(crate) fn call<P, R>(
        &self,
        function: &ComponentExportIndex,
        arguments: P,
        allowance: &Allowance,
    ) -> (Result<R, Fault>, CallStats)
    where
        P: ComponentNamedList + Lower,
        R: Lift + 'static,
        (R,): ComponentNamedList + Lift,
    {
        let _slot = self.runtime.slots.take();
        let begin = now();
        let mut store = self.store(allowance);
        let answer = self
            .instance
            .instantiate(&mut store)
            .and_then(|instance| instance.get_typed_func(&mut store, function))
            .and_then(|function: TypedFunc<P, (R,)>| function.call(&mut store, arguments))
            .map(|(answer,)| answer)
            .map_err(|error| fault::of_call(&error, store.data().denied, allowance));
        let stats = CallStats {
            fuel: allowance.fuel.saturating_sub(store.get_fuel().unwrap_or(0)),
            peak_memory_bytes: store.data().peak as u64,
            wall: now().duration_since(begin),
        };
        (answer, stats)
    }

    /// Whether a function has the type that it is called with.
    pub(crate) fn check<P, R>(
        &self,
        function: &ComponentExportIndex,
        allowance: &Allowance,
    ) -> Result<(), String>
    where
        P: ComponentNamedList + Lower,
        R: Lift + 'static,
        (R,): ComponentNamedList + Lift,
    {
        let _slot = self.runtime.slots.take();
        let mut store = self.store(allowance);
        self.instance
            .instantiate(&mut store)
            .and_then(|instance| instance.get_typed_func::<P, (R,)>(&mut store, function))
            .map(|_| ())
            .map_err(|error| format!("{error:#}"))
    }

    fn store(&self, allowance: &Allowance) -> Store<Meter> {
        let mut store = Store::new(
            &self.runtime.engine,
            Meter::new(
                to_usize(allowance.memory_bytes),
                self.runtime.ticker.running(),
            ),
        );
        store.limiter(|meter| meter);
        store.set_epoch_deadline(Ticker::epochs(allowance.deadline_ms));
        store.set_hostcall_fuel(allowance.lifted_bytes());
        // Fails only where the engine does not meter fuel; then every call runs out of it at once.
        let _ = store.set_fuel(allowance.fuel);
        store
    }
}

/// Counts the memory and tables of a call against its limit.
pub(crate) struct Meter {
    limit: usize,
    used: usize,
    peak: usize,
    /// Whether something was asked for that the limit forbade.
    denied: bool,
    /// Has the epochs go on.
    _running: Running,
}

impl Meter {
    fn new(limit: usize, running: Running) -> Self {
        Self {
            _running: running,
            limit,
            used: 0,
            peak: 0,
            denied: false,
        }
    }

    /// Whether something may grow. `maximum` is its own, or that of the place that it is in.
    fn grow(&mut self, from: usize, to: usize, maximum: Option<usize>, unit_bytes: usize) -> bool {
        let more = to.saturating_sub(from).saturating_mul(unit_bytes);
        let wanted = self.used.saturating_add(more);
        if wanted > self.limit || maximum.is_some_and(|maximum| to > maximum) {
            self.denied = true;
            return false;
        }
        self.used = wanted;
        self.peak = self.peak.max(wanted);
        true
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired, maximum, 1))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired, maximum, size_of::<usize>()))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "measures the call; no decision depends on it"
)]
fn now() -> Instant {
    Instant::now()
}
