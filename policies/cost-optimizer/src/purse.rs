//! What may still be spent in this call: GPUs by accelerator, and money an hour.

use std::collections::BTreeMap;

use trimtab_sdk::Limits;

use crate::problem::{Choice, MICROS, Problem};

/// More than any fleet takes, and far enough from overflow.
const UNLIMITED: u64 = u64::MAX / 4;

/// Slot of the accelerators that the inventory does not know.
const UNLISTED: usize = 0;

/// GPUs and money that growth may take. What shrinking frees is not put in: it is free only when
/// the replicas are gone.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Purse {
    names: Vec<String>,
    gpus: Vec<u64>,
    /// Millionths of the currency, per hour.
    money: u64,
}

/// What minimum replicas took that is not there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Overdraft {
    Gpus {
        accelerator: String,
        needed: u64,
        free: u64,
    },
    Budget {
        spent: f64,
        budget: f64,
    },
}

impl Purse {
    pub(crate) fn new(limits: &Limits) -> Self {
        let money = limits.budget.map_or(UNLIMITED, micros);
        let Some(accelerators) = &limits.accelerators else {
            return Self {
                names: vec![String::new()],
                gpus: vec![UNLIMITED],
                money,
            };
        };
        // Several entries for one accelerator, e.g. one from each quota: the strictest counts.
        let mut free: BTreeMap<&str, u64> = BTreeMap::new();
        for accelerator in accelerators.iter().filter(|one| !one.name.is_empty()) {
            let allowed = accelerator
                .quota
                .unwrap_or(u32::MAX)
                .min(accelerator.available);
            let entry = free.entry(&accelerator.name).or_insert(UNLIMITED);
            *entry = u64::from(allowed).min(*entry);
        }
        let (names, gpus) = std::iter::once((String::new(), 0))
            .chain(free.into_iter().map(|(name, gpus)| (name.to_owned(), gpus)))
            .unzip();
        Self { names, gpus, money }
    }

    /// Where the GPUs of an accelerator are kept.
    pub(crate) fn slot(&self, accelerator: &str) -> usize {
        self.names
            .binary_search_by(|name| name.as_str().cmp(accelerator))
            .unwrap_or(UNLISTED)
    }

    /// Sets aside what was asked for before and what minimum replicas need, which have to be
    /// respected even where they take more than there is.
    pub(crate) fn set_aside(
        &mut self,
        problems: &[Problem],
        budget: Option<f64>,
    ) -> Vec<Overdraft> {
        let choices = || problems.iter().flat_map(|problem| &problem.choices);
        for choice in choices() {
            let asked = u64::from(choice.variant.desired_replicas);
            let coming = asked.saturating_sub(u64::from(choice.variant.current_replicas));
            self.take_gpus(choice.slot, coming.saturating_mul(choice.gpus));
        }
        let mut needed = vec![0_u64; self.gpus.len()];
        let mut spent = 0_u64;
        for choice in choices() {
            let counted = choice
                .variant
                .desired_replicas
                .max(choice.variant.current_replicas);
            let raised = u64::from(choice.start.saturating_sub(counted));
            if let Some(sum) = needed.get_mut(choice.slot) {
                *sum = sum.saturating_add(raised.saturating_mul(choice.gpus));
            }
            let paid = u64::from(counted.max(choice.start));
            spent = spent.saturating_add(choice.cost.saturating_mul(paid));
        }
        let mut overdrafts = self.raise(&needed);
        if let Some(budget) = budget
            && spent > self.money
        {
            overdrafts.push(Overdraft::Budget {
                spent: spent as f64 / MICROS,
                budget,
            });
        }
        self.money = self.money.saturating_sub(spent);
        overdrafts
    }

    fn raise(&mut self, needed: &[u64]) -> Vec<Overdraft> {
        let mut overdrafts = Vec::new();
        for (slot, needed) in needed.iter().enumerate() {
            let free = self.free(slot);
            if *needed > free {
                let accelerator = self.accelerator(slot).to_owned();
                overdrafts.push(Overdraft::Gpus {
                    accelerator,
                    needed: *needed,
                    free,
                });
            }
            self.take_gpus(slot, *needed);
        }
        overdrafts
    }

    fn accelerator(&self, slot: usize) -> &str {
        match self.names.get(slot) {
            Some(name) if !name.is_empty() => name,
            _ => "accelerators that the inventory does not list",
        }
    }

    fn free(&self, slot: usize) -> u64 {
        self.gpus.get(slot).copied().unwrap_or(0)
    }

    fn take_gpus(&mut self, slot: usize, gpus: u64) {
        if let Some(free) = self.gpus.get_mut(slot) {
            *free = free.saturating_sub(gpus);
        }
    }

    /// Whether another replica fails for want of GPUs, rather than of money.
    pub(crate) fn lacks_gpus(&self, choice: &Choice) -> bool {
        choice.gpus > self.free(choice.slot)
    }

    /// Replicas of a variant, beyond those that are held, that can be paid.
    pub(crate) fn room(&self, choice: &Choice) -> u32 {
        let by_gpus = self
            .free(choice.slot)
            .checked_div(choice.gpus)
            .unwrap_or(u64::MAX);
        let by_money = self.money.checked_div(choice.cost).unwrap_or(u64::MAX);
        u32::try_from(by_gpus.min(by_money)).unwrap_or(u32::MAX)
    }

    /// Most replicas that a variant can have, if none are paid for yet.
    pub(crate) fn most(&self, choice: &Choice) -> u32 {
        choice
            .held
            .saturating_add(self.room(choice))
            .min(choice.max)
    }

    /// Replicas that a variant can have beyond `count`, which are paid for.
    pub(crate) fn more(&self, choice: &Choice, count: u32) -> u32 {
        let held = choice.held.saturating_sub(count);
        held.saturating_add(self.room(choice))
            .min(choice.max.saturating_sub(count))
    }

    /// Pays for `extra` replicas. The caller asked for [`Purse::room`] before.
    pub(crate) fn take(&mut self, choice: &Choice, extra: u32) {
        self.take_gpus(choice.slot, u64::from(extra) * choice.gpus);
        self.money = self.money.saturating_sub(u64::from(extra) * choice.cost);
    }

    /// Undoes [`Purse::take`].
    pub(crate) fn put_back(&mut self, choice: &Choice, extra: u32) {
        if let Some(free) = self.gpus.get_mut(choice.slot) {
            *free += u64::from(extra) * choice.gpus;
        }
        self.money += u64::from(extra) * choice.cost;
    }

    /// Pays for all that `counts` have beyond what is held, if all of it can be paid.
    pub(crate) fn try_take_all(&mut self, problem: &Problem, counts: &[u32]) -> bool {
        let pairs = || problem.choices.iter().zip(counts);
        for (taken, (choice, count)) in pairs().enumerate() {
            let extra = choice.extra(*count);
            if extra > self.room(choice) {
                for (choice, count) in pairs().take(taken) {
                    self.put_back(choice, choice.extra(*count));
                }
                return false;
            }
            self.take(choice, extra);
        }
        true
    }

    /// Undoes [`Purse::try_take_all`].
    pub(crate) fn put_back_all(&mut self, problem: &Problem, counts: &[u32]) {
        for (choice, count) in problem.choices.iter().zip(counts) {
            self.put_back(choice, choice.extra(*count));
        }
    }
}

/// Whole millionths; a budget that is no number allows nothing.
fn micros(amount: f64) -> u64 {
    ((amount.max(0.0) * MICROS).floor() as u64).min(UNLIMITED)
}
