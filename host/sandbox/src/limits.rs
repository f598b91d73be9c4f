//! What one call may use: a base, and a share for every variant and replica and for the state and
//! knowledge that it is given, so that a big pool does not fail for being big.

use serde::{Deserialize, Serialize};

/// How much a call is given to work on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InputSize {
    pub variants: u64,
    pub replicas: u64,
    /// Bytes of what the policy remembered and of what others learned, settings included.
    pub memory_bytes: u64,
}

/// An amount that grows with the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Scaled {
    pub base: u64,
    pub per_variant: u64,
    pub per_replica: u64,
    /// For each KiB of state, settings and knowledge, begun or whole.
    #[serde(default)]
    pub per_memory_kib: u64,
}

impl Scaled {
    #[must_use]
    pub const fn new(base: u64, per_variant: u64, per_replica: u64) -> Self {
        Self {
            base,
            per_variant,
            per_replica,
            per_memory_kib: 0,
        }
    }

    /// The same, and so much for each KiB of state, settings and knowledge.
    #[must_use]
    pub const fn per_memory_kib(self, per_memory_kib: u64) -> Self {
        Self {
            per_memory_kib,
            ..self
        }
    }

    /// The amount for an input of this size.
    #[must_use]
    pub fn at(self, size: InputSize) -> u64 {
        self.base
            .saturating_add(self.per_variant.saturating_mul(size.variants))
            .saturating_add(self.per_replica.saturating_mul(size.replicas))
            .saturating_add(
                self.per_memory_kib
                    .saturating_mul(size.memory_bytes.div_ceil(KIB)),
            )
    }
}

/// Everything that is limited in a call.
///
/// The defaults leave room for a policy in an interpreted language, which executes about a hundred
/// times the instructions of a compiled one and brings tens of megabytes of its own. Answer and
/// state do not grow with the state that is given: it would grow from call to call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Limits {
    /// WebAssembly instructions, and bytes moved by bulk instructions. Deterministic: the budget
    /// that counts.
    pub fuel: Scaled,
    /// Milliseconds of wall clock, behind the fuel; a call is ended within 20 ms after it.
    pub deadline_ms: Scaled,
    /// Bytes of linear memory and tables.
    pub memory_bytes: Scaled,
    /// Bytes of the answer as the host holds it, without the state.
    pub result_bytes: Scaled,
    /// Bytes of the state that a policy may keep for its next call.
    pub state_bytes: Scaled,
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: Scaled::new(1_000_000_000, 2_000_000, 200_000).per_memory_kib(2_000_000),
            deadline_ms: Scaled::new(5_000, 10, 1).per_memory_kib(10),
            memory_bytes: Scaled::new(128 * MIB, 64 * KIB, 16 * KIB).per_memory_kib(64 * KIB),
            result_bytes: Scaled::new(MIB, 64 * KIB, 4 * KIB),
            state_bytes: Scaled::new(256 * KIB, 16 * KIB, KIB),
        }
    }
}

impl Limits {
    /// The same number for the same limits, of others most probably another: FNV-1a of them all.
    pub(crate) fn terms(&self) -> u64 {
        let amounts = [
            self.fuel,
            self.deadline_ms,
            self.memory_bytes,
            self.result_bytes,
            self.state_bytes,
        ];
        let numbers = amounts
            .iter()
            .flat_map(|of| [of.base, of.per_variant, of.per_replica, of.per_memory_kib]);
        let bytes = numbers.flat_map(u64::to_be_bytes);
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// The same, with calls that take no longer than this, however large their input.
    #[must_use]
    pub(crate) fn within(self, milliseconds: u64) -> Self {
        let base = self.deadline_ms.base.min(milliseconds);
        Self {
            deadline_ms: Scaled::new(base, 0, 0),
            ..self
        }
    }
}

/// What one call may use.
pub(crate) struct Allowance {
    pub(crate) size: InputSize,
    pub(crate) fuel: u64,
    pub(crate) deadline_ms: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) result_bytes: u64,
    pub(crate) state_bytes: u64,
}

impl Allowance {
    pub(crate) fn new(limits: &Limits, size: InputSize) -> Self {
        Self {
            size,
            fuel: limits.fuel.at(size),
            deadline_ms: limits.deadline_ms.at(size),
            memory_bytes: limits.memory_bytes.at(size),
            result_bytes: limits.result_bytes.at(size),
            state_bytes: limits.state_bytes.at(size),
        }
    }

    /// The state travels in the answer. Lifting stops where this is used up, so that an answer
    /// costs the host no more memory than this, whatever lengths it claims.
    pub(crate) fn lifted_bytes(&self) -> usize {
        to_usize(self.result_bytes.saturating_add(self.state_bytes))
    }
}

pub(crate) fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_grows_with_variants_and_replicas() {
        let amount = Scaled::new(100, 10, 1);
        assert_eq!(amount.at(InputSize::default()), 100);
        assert_eq!(
            amount.at(InputSize {
                variants: 3,
                replicas: 30,
                memory_bytes: 0,
            }),
            160
        );
    }

    #[test]
    fn an_amount_grows_with_what_is_remembered() {
        let amount = Scaled::new(100, 10, 1).per_memory_kib(7);
        let given = |memory_bytes| {
            amount.at(InputSize {
                memory_bytes,
                ..InputSize::default()
            })
        };
        assert_eq!(
            [given(0), given(1), given(1024), given(1025)],
            [100, 107, 107, 114]
        );
    }

    #[test]
    fn a_state_cannot_earn_itself_more_room() {
        let limits = Limits::default();
        let at = |memory_bytes| {
            let size = InputSize {
                memory_bytes,
                ..InputSize::default()
            };
            Allowance::new(&limits, size)
        };
        assert_eq!(at(0).state_bytes, at(1 << 20).state_bytes);
        assert!(at(0).fuel < at(1 << 20).fuel);
    }

    #[test]
    fn an_absurd_amount_does_not_wrap_round() {
        let amount = Scaled::new(u64::MAX, u64::MAX, 1);
        assert_eq!(
            amount.at(InputSize {
                variants: 2,
                replicas: 2,
                memory_bytes: u64::MAX,
            }),
            u64::MAX
        );
    }
}
