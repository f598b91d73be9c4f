//! The engine's configuration: deterministic, metered, interruptible; and the engine with its ticker.

use std::num::NonZeroUsize;

use wasmtime::{Config, Engine, OptLevel};

use crate::sandbox::SandboxError;
use crate::ticker::Ticker;

/// Frames of a guest's backtrace that are kept: enough to see the way in and a recursion.
const BACKTRACE_FRAMES: NonZeroUsize = NonZeroUsize::new(16).unwrap();

/// Stack that a guest may use. The threads that call have 2 MiB, and the host's frames need some.
const STACK_BYTES: usize = 512 << 10;

/// An engine and what drives its clock. Policies hold it, so that their deadlines outlive the
/// sandbox that loaded them.
pub(crate) struct Runtime {
    pub(crate) engine: Engine,
    _ticker: Ticker,
}

impl Runtime {
    /// # Errors
    /// Where the machine cannot run the engine.
    pub(crate) fn new() -> Result<Self, SandboxError> {
        let engine = Engine::new(&configuration()).map_err(|error| SandboxError::Engine {
            why: format!("{error:#}"),
        })?;
        let ticker = Ticker::start(engine.clone()).map_err(SandboxError::Ticker)?;
        Ok(Self {
            engine,
            _ticker: ticker,
        })
    }
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
