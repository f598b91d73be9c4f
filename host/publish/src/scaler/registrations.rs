//! Who calls: a ScaledObject that asks about itself asks to be scaled.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::protocol::ScaledObjectRef;

/// A registration lives for so long after its last call.
const LIFE: Duration = Duration::from_secs(300);
/// Most ScaledObjects that are remembered, of those that register and of those that do not: whoever
/// can reach us can call in any name.
const MOST: usize = 10_000;

/// ScaledObjects that KEDA asks about.
pub struct Registrations {
    known: Mutex<BTreeMap<(String, String), Known>>,
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
}

/// What was passed on of a trigger's metadata. A key that is not there or empty is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Registered {
    pub model: Option<String>,
    pub cost: Option<String>,
    pub variant: Option<String>,
}

struct Known {
    registered: Registered,
    called: Duration,
    streams: u32,
}

/// An open stream; its registration lives as long.
pub struct Asking {
    registrations: Arc<Registrations>,
    /// `None` where there was no place for it.
    of: Option<(String, String)>,
}

impl Registrations {
    /// By a clock that nobody sets.
    pub fn new(clock: impl Fn() -> Duration + Send + Sync + 'static) -> Self {
        Self {
            known: Mutex::default(),
            clock: Box::new(clock),
        }
    }

    /// Those that live, by namespace and name of the ScaledObject. A call without a model refers to
    /// a variant that something else claims, and registers nothing.
    #[must_use]
    pub fn now(&self) -> BTreeMap<(String, String), Registered> {
        let mut known = self.known();
        self.forget(&mut known);
        let models = known
            .iter()
            .filter(|(_, known)| known.registered.model.is_some());
        models
            .map(|(of, known)| (of.clone(), known.registered.clone()))
            .collect()
    }

    /// Seconds since KEDA last asked about each ScaledObject; 0 while a stream of it is open.
    #[must_use]
    pub fn last_calls(&self) -> BTreeMap<(String, String), Duration> {
        let now = (self.clock)();
        let known = self.known();
        let known = known.iter();
        known
            .map(|(of, known)| {
                let since = now.saturating_sub(known.called);
                let since = if known.streams > 0 {
                    Duration::ZERO
                } else {
                    since
                };
                (of.clone(), since)
            })
            .collect()
    }

    pub(super) fn called(&self, of: &ScaledObjectRef) {
        self.note(of, 0);
    }

    pub(super) fn asking(this: &Arc<Self>, of: &ScaledObjectRef) -> Asking {
        let noted = this.note(of, 1);
        Asking {
            registrations: Arc::clone(this),
            of: noted.then(|| key(of)),
        }
    }

    /// Whether there was place for it.
    fn note(&self, of: &ScaledObjectRef, streams: u32) -> bool {
        let called = (self.clock)();
        let registered = Registered::of(of);
        let registers = registered.model.is_some();
        let mut known = self.known();
        if !known.contains_key(&key(of)) && is_full(&known, registers) {
            self.forget(&mut known);
            if is_full(&known, registers) {
                return false;
            }
        }
        let entry = known.entry(key(of)).or_insert_with(|| Known {
            registered: Registered::default(),
            called,
            streams: 0,
        });
        entry.registered = registered;
        entry.called = called;
        entry.streams += streams;
        true
    }

    fn forget(&self, known: &mut BTreeMap<(String, String), Known>) {
        let now = (self.clock)();
        known.retain(|_, known| known.streams > 0 || now.saturating_sub(known.called) <= LIFE);
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<(String, String), Known>> {
        // Whoever panicked under the lock left values that are each still valid.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registered {
    fn of(of: &ScaledObjectRef) -> Self {
        let given = |key: &str| {
            let value = of.scaler_metadata.get(key)?.trim();
            (!value.is_empty()).then(|| value.to_owned())
        };
        Self {
            model: given("modelID"),
            cost: given("variantCost"),
            variant: given(super::VARIANT),
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let Some(of) = &self.of else { return };
        let called = (self.registrations.clock)();
        if let Some(known) = self.registrations.known().get_mut(of) {
            known.streams = known.streams.saturating_sub(1);
            known.called = called;
        }
    }
}

fn is_full(known: &BTreeMap<(String, String), Known>, registers: bool) -> bool {
    let like = |of: &&Known| of.registered.model.is_some() == registers;
    known.len() >= MOST && known.values().filter(like).count() >= MOST
}

fn key(of: &ScaledObjectRef) -> (String, String) {
    (of.namespace.clone(), of.name.clone())
}
