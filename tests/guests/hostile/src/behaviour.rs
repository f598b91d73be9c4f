//! What the settings can ask for, and the misbehaviours that give no answer.

use std::hint::black_box;

use serde::Deserialize;

/// E.g. `{"behaviour": "huge-list", "amount": 100}`.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Settings {
    pub(crate) behaviour: Behaviour,
    /// How much of it, in the behaviour's own unit.
    pub(crate) amount: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            behaviour: Behaviour::Behave,
            amount: 1,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Behaviour {
    /// A right answer that changes nothing.
    Behave,
    /// Burns `amount` rounds of a loop, then behaves.
    Work,
    EndlessLoop,
    /// Allocates until that fails.
    MemoryBomb,
    /// Tries to allocate `amount` bytes, copes with being denied, then behaves.
    CarefulGreed,
    DeepRecursion,
    Panic,
    /// `amount` parts (stages, notes) with a thousand entries each.
    HugeList,
    /// One string of `amount` bytes.
    HugeString,
    /// A right answer with a state of `amount` bytes.
    LargeState,
    /// Not-a-number in every field that can hold it.
    NotANumber,
    /// Positions one past the end of every list.
    WrongIndices,
    /// Every stage or target two times.
    Twice,
    Refuse,
    /// A refusal whose reason has `amount` bytes.
    HugeRefusal,
}

impl Settings {
    /// Does what does not show in an answer. Returns where the behaviour is one that answers.
    pub(crate) fn act(&self) {
        match self.behaviour {
            Behaviour::EndlessLoop => loop {
                black_box(self.amount);
            },
            Behaviour::MemoryBomb => memory_bomb(),
            Behaviour::DeepRecursion => {
                black_box(recurse(self.amount));
            }
            Behaviour::Panic => fail(),
            Behaviour::Work => {
                for round in 0..self.amount {
                    black_box(round);
                }
            }
            Behaviour::CarefulGreed => {
                let mut greed: Vec<u8> = Vec::new();
                let _ = black_box(greed.try_reserve_exact(self.amount));
            }
            Behaviour::Behave
            | Behaviour::HugeList
            | Behaviour::HugeString
            | Behaviour::LargeState
            | Behaviour::NotANumber
            | Behaviour::WrongIndices
            | Behaviour::Twice
            | Behaviour::Refuse
            | Behaviour::HugeRefusal => {}
        }
    }
}

fn memory_bomb() {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    loop {
        hoard.push(black_box(vec![1; 1 << 20]));
    }
}

#[inline(never)]
#[expect(unconditional_recursion, reason = "that is its misbehaviour")]
fn recurse(depth: usize) -> usize {
    black_box(recurse(black_box(depth + 1))) + depth
}

#[inline(never)]
#[expect(clippy::panic, reason = "that is its misbehaviour")]
fn fail() {
    panic!("a policy's own panic");
}
