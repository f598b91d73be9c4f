//! From what the engine reports to the fault that the core knows.

use std::fmt::Write as _;

use trimtab_core::policies::{Fault, FaultKind};
use wasmtime::{Trap, WasmBacktrace};

use crate::limits::Allowance;

/// How the engine says that an answer was larger than was to be lifted: the error has no public type.
const LIFTED_TOO_MUCH: &str = "fuel allocated for hostcalls has been exhausted";

/// Longest message that is kept, in bytes: function names are the guest's, so their length is too.
const MESSAGE_BYTES: usize = 4 << 10;

/// Classifies a call that failed; `denied` tells whether it was refused memory on the way.
pub(crate) fn of_call(error: &wasmtime::Error, denied: bool, allowance: &Allowance) -> Fault {
    let given = given(allowance);
    let trap = error.downcast_ref::<Trap>();
    let (kind, what) = match trap {
        Some(Trap::OutOfFuel) => (
            FaultKind::OutOfFuel,
            format!("used up {} of fuel for {given}", allowance.fuel),
        ),
        Some(Trap::Interrupt) => (
            FaultKind::Deadline,
            format!("took longer than {} ms for {given}", allowance.deadline_ms),
        ),
        // Most guests end in `unreachable` when an allocation fails.
        _ if denied => (
            FaultKind::OutOfMemory,
            format!(
                "asked for more memory than it may have, {} bytes for {given}",
                allowance.memory_bytes
            ),
        ),
        Some(trap) => (FaultKind::Trap, trap.to_string()),
        None if error.root_cause().to_string().contains(LIFTED_TOO_MUCH) => (
            FaultKind::OversizedResult,
            format!(
                "answered with more than {} bytes for {given}",
                allowance.result_bytes
            ),
        ),
        None => (FaultKind::Broken, error.root_cause().to_string()),
    };
    Fault {
        kind,
        message: with_backtrace(what, error),
    }
}

/// What the limits of a call were made for.
fn given(allowance: &Allowance) -> String {
    let size = allowance.size;
    let (variants, replicas) = (size.variants, size.replicas);
    let kib = size.memory_bytes.div_ceil(1024);
    if kib == 0 {
        format!("{variants} variants and {replicas} replicas")
    } else {
        format!(
            "{variants} variants, {replicas} replicas and {kib} KiB of state, settings and knowledge"
        )
    }
}

/// The fault of an answer whose state is over its cap.
pub(crate) fn of_state(bytes: usize, allowance: &Allowance) -> Fault {
    Fault {
        kind: FaultKind::StateTooLarge,
        message: format!(
            "returned a state of {bytes} bytes, more than {} bytes for {} variants and {} replicas",
            allowance.state_bytes, allowance.size.variants, allowance.size.replicas
        ),
    }
}

fn with_backtrace(mut message: String, error: &wasmtime::Error) -> String {
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        for frame in backtrace.frames() {
            let name = frame.func_name().unwrap_or("a function without a name");
            // The alternate form leaves out the hashes of Rust's names.
            let _ = write!(message, "\n  in {:#}", rustc_demangle::demangle(name));
        }
    }
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
    message
}
