//! What policies have learned about models on accelerators, shared by all pools.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trimtab_contract::{Knowledge, KnowledgeSource};

/// Seven days: a model server that nobody has measured for that long has probably been upgraded.
const FORGOTTEN_AFTER_MS: u64 = 7 * 86_400_000;

/// Values kept of one model: dozens of accelerators and engine settings with dozens of quantities.
const VALUES_PER_MODEL: usize = 1024;

/// One value for each model, accelerator, GPUs per replica, engine and quantity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Store(BTreeMap<String, Vec<Knowledge>>);

impl Store {
    /// All that is known of a model, on whatever accelerator.
    pub(crate) fn of_model(&self, model: &str) -> &[Knowledge] {
        self.0.get(model).map_or(&[], Vec::as_slice)
    }

    /// Takes up a value unless what is known already outranks it. An instant that lies ahead is
    /// taken for now, so that nothing outlives its time.
    pub(crate) fn learn(&mut self, mut new: Knowledge, now_ms: u64) {
        new.learned_at = new.learned_at.min(now_ms);
        if expired(&new, now_ms) {
            return;
        }
        let Some(known) = self.0.get_mut(&new.model) else {
            self.0.insert(new.model.clone(), vec![new]);
            return;
        };
        if let Some(old) = known.iter_mut().find(|old| same_quantity(old, &new)) {
            if outranks(&new, old) || expired(old, now_ms) {
                *old = new;
            }
            return;
        }
        if known.len() >= VALUES_PER_MODEL {
            let oldest = known
                .iter()
                .enumerate()
                .min_by_key(|(_, value)| value.learned_at);
            if let Some((oldest, _)) = oldest {
                known.remove(oldest);
            }
        }
        known.push(new);
    }

    pub(crate) fn only(&self, model: &str) -> Self {
        let known = self.0.get_key_value(model).into_iter();
        Self(
            known
                .map(|(model, known)| (model.clone(), known.clone()))
                .collect(),
        )
    }

    pub(crate) fn absorb(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn forget(&mut self, now_ms: u64) {
        self.0.retain(|_, known| {
            known.retain(|value| !expired(value, now_ms));
            !known.is_empty()
        });
    }
}

fn expired(value: &Knowledge, now_ms: u64) -> bool {
    now_ms.saturating_sub(value.learned_at) >= FORGOTTEN_AFTER_MS
}

fn same_quantity(a: &Knowledge, b: &Knowledge) -> bool {
    a.quantity == b.quantity
        && a.accelerator == b.accelerator
        && a.gpus_per_replica == b.gpus_per_replica
        && a.engine == b.engine
}

fn outranks(new: &Knowledge, old: &Knowledge) -> bool {
    match (new.source, old.source) {
        (KnowledgeSource::Live, KnowledgeSource::Derived) => true,
        (KnowledgeSource::Derived, KnowledgeSource::Live) => false,
        (KnowledgeSource::Live, KnowledgeSource::Live)
        | (KnowledgeSource::Derived, KnowledgeSource::Derived) => new.learned_at >= old.learned_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(value: f64, source: KnowledgeSource, learned_at: u64) -> Knowledge {
        Knowledge {
            model: "m".into(),
            accelerator: "H100".into(),
            gpus_per_replica: 1,
            engine: None,
            quantity: "iteration-base-seconds".into(),
            value,
            source,
            learned_at,
        }
    }

    fn values(store: &Store) -> Vec<f64> {
        store
            .of_model("m")
            .iter()
            .map(|known| known.value)
            .collect()
    }

    #[test]
    fn live_outranks_derived_and_the_newest_wins_among_equals() {
        use KnowledgeSource::{Derived, Live};
        let mut store = Store::default();
        let steps = [
            (1.0, Derived, 1, 1.0),
            (2.0, Derived, 2, 2.0),
            (3.0, Live, 1, 3.0),
            (4.0, Derived, 9, 3.0),
            (5.0, Live, 3, 5.0),
            (6.0, Live, 2, 5.0),
        ];
        for (new, source, at, kept) in steps {
            store.learn(value(new, source, at), 100);
            assert_eq!(values(&store), [kept]);
        }
    }

    #[test]
    fn another_accelerator_is_another_value() {
        let mut store = Store::default();
        store.learn(value(1.0, KnowledgeSource::Live, 1), 1);
        let other = Knowledge {
            gpus_per_replica: 2,
            ..value(2.0, KnowledgeSource::Live, 1)
        };
        store.learn(other, 1);
        assert_eq!(values(&store), [1.0, 2.0]);
        assert!(store.of_model("other").is_empty());
    }

    #[test]
    fn seven_days_without_news_are_forgotten() {
        let mut store = Store::default();
        store.learn(value(1.0, KnowledgeSource::Live, 0), 0);
        store.forget(FORGOTTEN_AFTER_MS - 1);
        assert_eq!(values(&store), [1.0]);
        store.learn(
            value(2.0, KnowledgeSource::Derived, FORGOTTEN_AFTER_MS),
            FORGOTTEN_AFTER_MS,
        );
        assert_eq!(
            values(&store),
            [2.0],
            "an expired live value outranks nothing"
        );
        store.forget(3 * FORGOTTEN_AFTER_MS);
        assert_eq!(store, Store::default());
    }

    #[test]
    fn a_date_in_the_future_counts_as_now() {
        let mut store = Store::default();
        store.learn(value(1.0, KnowledgeSource::Live, u64::MAX), 5);
        assert_eq!(store.of_model("m")[0].learned_at, 5);
    }

    #[test]
    fn what_one_model_may_teach_is_bounded() {
        let mut store = Store::default();
        for n in 0..2000 {
            let quantity = format!("q{n}");
            let learned = Knowledge {
                quantity,
                ..value(1.0, KnowledgeSource::Live, n)
            };
            store.learn(learned, 2000);
        }
        let known = store.of_model("m");
        assert_eq!(known.len(), VALUES_PER_MODEL);
        assert_eq!(known[0].quantity, format!("q{}", 2000 - VALUES_PER_MODEL));
    }
}
