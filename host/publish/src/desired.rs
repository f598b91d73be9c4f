//! What the last cycle asks for, for as long as it stands: the one place from which whoever scales is
//! answered, in whichever way they ask.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use trimtab_core::decision::VariantDecision;

use crate::metrics::Published;

/// What all who scale know it by.
pub const METRIC: &str = "wva_desired_replicas";

/// What is asked for now. Instants are in milliseconds of a clock that nobody sets.
pub struct Desired {
    known: Mutex<Known>,
    longest_ms: u64,
    clock: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Goes up with each word, and when this process no longer leads.
    version: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Known {
    /// Until when this process leads; 0 where it does not.
    leads_until_ms: u64,
    word: Option<Arc<Word>>,
}

/// What one cycle asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// When its cycle began, in milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The same on the clock that nobody sets.
    steady_ms: u64,
    /// By namespace and name of the variant.
    pub variants: BTreeMap<(String, String), Count>,
    /// Names of the variants that KEDA's ScaledObjects scale, by namespace and name of these.
    pub scaled_objects: BTreeMap<(String, String), String>,
    /// Variants that had the name of another one.
    pub(crate) doubled: u32,
}

/// Replicas of one variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    pub accelerator: String,
    /// `None` where it is not for others: the mode of its pool keeps it.
    pub desired: Option<u32>,
    pub current: u32,
}

/// Why nothing is asked for: whoever asks is to hold what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("this process does not lead: another one decides")]
    NotLeading,
    #[error("nothing is decided yet")]
    Undecided,
    #[error(
        "the last decision is {age_seconds} s old, more than the {longest_seconds} s for which one \
         stands"
    )]
    Stale {
        age_seconds: u64,
        longest_seconds: u64,
    },
}

impl Desired {
    /// A word stands for so long after its cycle began.
    pub fn new(longest_ms: u64, clock: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self {
            known: Mutex::default(),
            longest_ms,
            clock: Box::new(clock),
            version: watch::Sender::new(0),
        }
    }

    /// Whether this process leads, and until when unless it is told again. One that comes to lead
    /// has said nothing yet.
    pub fn lead(&self, until_ms: Option<u64>) {
        let mut known = self.known();
        let led = known.leads_until_ms > 0;
        known.leads_until_ms = until_ms.unwrap_or(0);
        let changed = led != until_ms.is_some();
        if changed {
            known.word = None;
        }
        drop(known);
        if changed {
            self.tell();
        }
    }

    /// Asks for at least so many replicas of a variant between two cycles: it was started. What is
    /// kept by its mode stays kept.
    pub fn raise(&self, namespace: &str, variant: &str, count: u32) {
        let mut known = self.known();
        let Some(word) = known.word.as_mut() else {
            return;
        };
        let of = (namespace.to_owned(), variant.to_owned());
        if let Some(there) = Arc::make_mut(word).variants.get_mut(&of) {
            there.desired = there.desired.map(|desired| desired.max(count));
        }
        drop(known);
        self.tell();
    }

    /// Whether this process leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        (self.clock)() < self.known().leads_until_ms
    }

    /// What stands now.
    ///
    /// # Errors
    /// Nothing does.
    pub fn now(&self) -> Result<Arc<Word>, Unavailable> {
        let now_ms = (self.clock)();
        let known = self.known();
        if known.leads_until_ms <= now_ms {
            return Err(Unavailable::NotLeading);
        }
        let word = known.word.as_ref().ok_or(Unavailable::Undecided)?;
        let age_ms = now_ms.saturating_sub(word.steady_ms);
        if age_ms > self.longest_ms {
            return Err(Unavailable::Stale {
                age_seconds: age_ms / 1000,
                longest_seconds: self.longest_ms / 1000,
            });
        }
        Ok(Arc::clone(word))
    }

    /// To be woken by each new word, and when none stands any more.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Says how many variants had the name of another one.
    pub(crate) fn replace(&self, published: &Published) -> u32 {
        if !published.leader {
            return 0;
        }
        let word = Word::of(published);
        let doubled = word.doubled;
        self.known().word = Some(Arc::new(word));
        self.tell();
        doubled
    }

    fn tell(&self) {
        self.version.send_modify(|version| *version += 1);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Whoever panicked under the lock left values that are each still valid.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Desired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.known().fmt(f)
    }
}

impl Word {
    fn of(published: &Published) -> Self {
        let mut word = Self {
            at_ms: published.now_ms,
            steady_ms: published.steady_ms,
            scaled_objects: published.scaled_objects.clone(),
            ..Self::default()
        };
        for pool in &published.decisions {
            for variant in &pool.variants {
                let of = (pool.namespace.clone(), variant.variant.clone());
                word.insert(of, Count::of(variant));
            }
        }
        word
    }

    /// A series that stands twice would cost the whole scrape. Of two variants of one name the
    /// larger count is told, so that neither is scaled down for the other.
    fn insert(&mut self, of: (String, String), count: Count) {
        let Some(there) = self.variants.get_mut(&of) else {
            self.variants.insert(of, count);
            return;
        };
        self.doubled += 1;
        if count.desired > there.desired {
            *there = count;
        }
    }
}

impl Count {
    fn of(variant: &VariantDecision) -> Self {
        Self {
            accelerator: variant.accelerator.clone(),
            desired: variant.published.then_some(variant.desired),
            current: variant.current,
        }
    }

    /// As WVA has it: where nothing runs, the ratio is the count that is asked for.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        Some(f64::from(self.desired?) / f64::from(self.current.max(1)))
    }
}
