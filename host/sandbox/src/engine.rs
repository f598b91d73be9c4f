//! The engine: deterministic, metered, interruptible, with places kept ready for instances; and what
//! belongs to it, the ticker and the count of places.

use std::num::NonZeroUsize;
use std::thread;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig,
};

use crate::error::SandboxError;
use crate::slots::Slots;
use crate::ticker::Ticker;

/// Frames of a guest's backtrace that are kept: enough to see the way in and a recursion.
const BACKTRACE_FRAMES: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// Stack that a guest may use. The threads that call have 2 MiB, and the host's frames need some.
const STACK_BYTES: usize = 512 << 10;

/// Memory of a place that stays with the process between calls and is wiped instead of given back.
/// A policy of the shipped kind touches less; wiping it costs less than asking the kernel for it.
const WARM_BYTES: usize = 256 << 10;

/// Parts that one component may have. Made by a language's toolchain it has one memory, one or two
/// tables and up to about twenty modules, which are linked by it.
const MEMORIES: u32 = 4;
const TABLES: u32 = 16;
const MODULES: u32 = 40;

/// Entries of a table: an interpreter of 18 MB has about 20,000 functions.
const TABLE_ENTRIES: usize = 100_000;

/// An engine and what drives its clock. Policies hold it, so that their deadlines outlive the
/// sandbox that loaded them.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    pub(crate) slots: Slots,
    pub(crate) ticker: Ticker,
}

impl Runtime {
    /// # Errors
    /// Where the machine cannot run the engine.
    pub(crate) fn new() -> Result<Self, SandboxError> {
        let slots = slot_count();
        let engine = engine(slots)?;
        let ticker = Ticker::start(engine.clone()).map_err(SandboxError::Ticker)?;
        Ok(Self {
            engine,
            slots: Slots::new(slots),
            ticker,
        })
    }
}

/// A call keeps a core busy, so more places than cores are only for calls that are preempted.
fn slot_count() -> u32 {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    u32::try_from(cores * 2).unwrap_or(u32::MAX).clamp(16, 256)
}

/// With places kept ready a call of 30 replicas took 27 us, without 56 us, and calls from two
/// threads did not run side by side at all, since each maps and unmaps its memory. But the places
/// are reserved as address space, 16 GiB each, which some systems do not grant.
fn engine(slots: u32) -> Result<Engine, SandboxError> {
    let mut pooled = configuration();
    pooled.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(slots)));
    let error = match Engine::new(&pooled) {
        Ok(engine) => return Ok(engine),
        Err(error) => format!("{error:#}"),
    };
    tracing::warn!(
        error,
        "no address space to keep ready for policies; calls take longer"
    );
    Engine::new(&frugal()).map_err(|error| SandboxError::Engine {
        why: format!("{error:#}"),
    })
}

/// Reserves no more address space than is used, for which the code checks its bounds itself.
fn frugal() -> Config {
    let mut config = configuration();
    config
        .memory_reservation(0)
        .memory_reservation_for_growth(16 << 20)
        .memory_guard_size(64 << 10);
    config
}

fn configuration() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .cranelift_opt_level(OptLevel::Speed)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK_BYTES)
        .wasm_backtrace_max_frames(Some(BACKTRACE_FRAMES))
        // The same arguments give the same bytes on every machine.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false);
    config
}

/// Room for `slots` components of the largest kind. How much memory a call may use is up to its
/// own limit, so a place holds what 32 bits can address.
fn pool(slots: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_core_instances(slots.saturating_mul(MODULES))
        .total_memories(slots.saturating_mul(MEMORIES))
        .total_tables(slots.saturating_mul(TABLES))
        .max_core_instances_per_component(MODULES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_tables_per_module(TABLES)
        .max_memories_per_module(MEMORIES)
        .table_elements(TABLE_ENTRIES)
        .max_memory_size(1 << 32)
        .linear_memory_keep_resident(WARM_BYTES)
        .table_keep_resident(WARM_BYTES)
        // Where the kernel can say which pages a call wrote to, only those are wiped.
        .pagemap_scan(Enabled::Auto);
    pool
}

#[cfg(test)]
mod tests {
    use wasmtime::component::{Component, Linker};
    use wasmtime::{Result, Store};

    use super::*;

    /// Instantiates a component that has a memory.
    fn runs(engine: &Engine) -> Result<()> {
        let bytes = wat::parse_str(
            r#"(component (core module $m (memory 1)) (core instance (instantiate $m)))"#,
        )?;
        let component = Component::from_binary(engine, &bytes)?;
        let mut store = Store::new(engine, ());
        store.set_fuel(1_000)?;
        store.set_epoch_deadline(1);
        Linker::new(engine).instantiate(&mut store, &component)?;
        Ok(())
    }

    #[test]
    fn a_place_takes_a_component() {
        runs(&engine(1).unwrap()).unwrap();
    }

    #[test]
    fn without_the_address_space_components_run_all_the_same() {
        let absurd = 1 << 20;
        let mut config = configuration();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(absurd)));
        assert!(Engine::new(&config).is_err(), "16 PiB were granted");
        runs(&engine(absurd).unwrap()).unwrap();
    }

    #[test]
    fn both_kinds_of_engine_use_the_same_fuel_for_the_same_work() {
        let code = r#"(module (memory 1) (func (export "f")
            (memory.fill (i32.const 0) (i32.const 1) (i32.const 1000))
            (i32.store (i32.const 8) (i32.const 1))))"#;
        let used = |config: &Config| {
            let engine = Engine::new(config).unwrap();
            let module = wasmtime::Module::new(&engine, wat::parse_str(code).unwrap()).unwrap();
            let mut store = Store::new(&engine, ());
            store.set_fuel(10_000).unwrap();
            store.set_epoch_deadline(1);
            let instance = wasmtime::Instance::new(&mut store, &module, &[]).unwrap();
            let function = instance.get_typed_func::<(), ()>(&mut store, "f").unwrap();
            function.call(&mut store, ()).unwrap();
            store.get_fuel().unwrap()
        };
        assert_eq!(used(&configuration()), used(&frugal()));
    }
}
