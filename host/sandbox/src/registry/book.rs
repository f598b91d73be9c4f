//! All slots, and the table that is made of them: one store for every change, under one short lock,
//! so that tables follow each other in the order of what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::watch;
use trimtab_core::policies::{Digest, Version};

use super::slot::{Change, Slot};
use super::table::{Entry, Table};
use super::wanted::{PolicyKey, Wanted};
use crate::policy::Policy;

pub(super) struct Book {
    pages: Mutex<Pages>,
    table: ArcSwap<Table>,
    changed: watch::Sender<u64>,
}

#[derive(Default)]
pub(super) struct Pages {
    slots: BTreeMap<PolicyKey, Slot>,
    entries: BTreeMap<PolicyKey, Arc<Entry>>,
    /// Turns that were given out.
    turns: u64,
    serial: u64,
}

impl Book {
    pub(super) fn new() -> Self {
        Self {
            pages: Mutex::default(),
            table: ArcSwap::default(),
            changed: watch::Sender::new(0),
        }
    }

    pub(super) fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    pub(super) fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Takes over what is wanted. Who has to begin anew is given to `begin`, whose work the slot
    /// keeps.
    pub(super) fn want(
        &self,
        wanted: BTreeMap<PolicyKey, Wanted>,
        begin: impl Fn(&PolicyKey, &mut Slot),
    ) {
        let mut pages = self.lock();
        let mut is_new = pages.forget_all_but(&wanted);
        for (key, wanted) in wanted {
            is_new |= pages.want(key, wanted, &begin);
        }
        if is_new {
            self.publish(&mut pages);
        }
    }

    /// Changes the slots of all, and publishes those of which `change` says that they changed.
    pub(super) fn change_all(&self, change: impl Fn(&mut Slot) -> bool) {
        let mut pages = self.lock();
        let Pages { slots, entries, .. } = &mut *pages;
        let mut is_new = false;
        for (key, slot) in slots {
            if change(slot) {
                entries.insert(key.clone(), Arc::new(slot.entry()));
                is_new = true;
            }
        }
        if is_new {
            self.publish(&mut pages);
        }
    }

    /// Changes one slot, where it is still that turn's; publishes it where `change` says that it
    /// changed. Whether it is still that turn's.
    pub(super) fn change(
        &self,
        key: &PolicyKey,
        turn: u64,
        change: impl FnOnce(&mut Slot) -> bool,
    ) -> bool {
        let mut pages = self.lock();
        let slot = pages.slots.get_mut(key).filter(|slot| slot.turn == turn);
        let Some(slot) = slot else {
            return false;
        };
        if change(slot) {
            let entry = Arc::new(slot.entry());
            pages.entries.insert(key.clone(), entry);
            self.publish(&mut pages);
        }
        true
    }

    /// What a slot holds, where it is still that turn's.
    pub(super) fn read<T>(
        &self,
        key: &PolicyKey,
        turn: u64,
        read: impl FnOnce(&Slot) -> T,
    ) -> Option<T> {
        let pages = self.lock();
        let slot = pages.slots.get(key).filter(|slot| slot.turn == turn);
        slot.map(read)
    }

    /// A version that is compiled already, for whomever.
    pub(super) fn compiled(&self, digest: &Digest) -> Option<Policy> {
        let pages = self.lock();
        let mut policies = pages.slots.values().flat_map(Slot::policies);
        policies.find(|policy| policy.digest() == digest).cloned()
    }

    /// The current version of each gave an accepted decision, where it is among these.
    pub(super) fn good(&self, versions: &BTreeSet<Version>) {
        self.lock()
            .slots
            .values_mut()
            .for_each(|slot| slot.good(versions));
    }

    /// Ends all work.
    pub(super) fn close(&self) {
        self.lock().slots.clear();
    }

    fn publish(&self, pages: &mut Pages) {
        pages.serial += 1;
        self.table.store(Arc::new(Table {
            serial: pages.serial,
            entries: pages.entries.clone(),
        }));
        self.changed.send_replace(pages.serial);
    }

    /// Nothing that is done under the lock leaves it half done.
    fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn forget_all_but(&mut self, wanted: &BTreeMap<PolicyKey, Wanted>) -> bool {
        let before = self.slots.len();
        self.slots.retain(|key, _| wanted.contains_key(key));
        self.entries.retain(|key, _| wanted.contains_key(key));
        self.slots.len() < before
    }

    fn want(
        &mut self,
        key: PolicyKey,
        wanted: Wanted,
        begin: impl Fn(&PolicyKey, &mut Slot),
    ) -> bool {
        let (slot, change) = match self.slots.get_mut(&key) {
            Some(slot) => {
                let change = slot.want(wanted);
                (slot, change)
            }
            None => {
                let slot = self.slots.entry(key.clone());
                (slot.or_insert_with(|| Slot::new(wanted)), Change::Source)
            }
        };
        if change == Change::Source {
            // Never given out twice, also where a policy goes and comes back.
            self.turns += 1;
            slot.turn = self.turns;
            begin(&key, slot);
        }
        if change != Change::Nothing {
            self.entries.insert(key, Arc::new(slot.entry()));
        }
        change != Change::Nothing
    }
}
