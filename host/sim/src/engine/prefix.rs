//! A replica's prefix cache: blocks of prompts that running sequences share, and those that stay,
//! least recently used first out, as long as nothing else needs their room.

use std::collections::{BTreeMap, HashMap};

/// Tokens in one prefix block of a trace.
pub(crate) const PREFIX_BLOCK_TOKENS: u64 = 512;

/// Cached prefix blocks by id. Ids of the trace stand for contents: the same id, the same tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct PrefixCache {
    entries: HashMap<u32, Entry>,
    /// Blocks that no sequence uses, oldest first.
    idle: BTreeMap<u64, u32>,
    next_stamp: u64,
}

#[derive(Clone, Debug)]
struct Entry {
    users: u32,
    /// Key in `idle`, while there are no users.
    stamp: u64,
}

impl PrefixCache {
    /// Blocks at the head of the prompt that are cached.
    pub(crate) fn leading(&self, ids: &[u32]) -> u64 {
        if self.entries.is_empty() {
            return 0;
        }
        ids.iter()
            .take_while(|id| self.entries.contains_key(id))
            .count() as u64
    }

    /// Blocks among these that no sequence uses now, cached or not: the most room that using
    /// them takes.
    pub(crate) fn unused(&self, ids: &[u32]) -> u64 {
        ids.iter()
            .filter(|id| self.entries.get(id).is_none_or(|entry| entry.users == 0))
            .count() as u64
    }

    /// A sequence uses these blocks from now on. Gives the number that no other sequence uses.
    pub(crate) fn use_blocks(&mut self, ids: &[u32]) -> u64 {
        let mut taken = 0;
        for id in ids {
            let entry = self.entries.entry(*id).or_insert(Entry {
                users: 0,
                stamp: u64::MAX,
            });
            if entry.users == 0 {
                self.idle.remove(&entry.stamp);
                taken += 1;
            }
            entry.users += 1;
        }
        taken
    }

    /// A sequence no longer uses these blocks; the tail of a prompt is the first to be evicted.
    /// Gives the number that no other sequence uses.
    pub(crate) fn leave_blocks(&mut self, ids: &[u32]) -> u64 {
        let mut idle = 0;
        for id in ids.iter().rev() {
            let Some(entry) = self.entries.get_mut(id) else {
                continue;
            };
            entry.users = entry.users.saturating_sub(1);
            if entry.users == 0 {
                entry.stamp = self.next_stamp;
                self.idle.insert(self.next_stamp, *id);
                self.next_stamp += 1;
                idle += 1;
            }
        }
        idle
    }

    /// Evicts until at most this many blocks are cached without a user.
    pub(crate) fn keep_idle(&mut self, at_most: u64) {
        while self.idle.len() as u64 > at_most {
            let Some((_, id)) = self.idle.pop_first() else {
                return;
            };
            self.entries.remove(&id);
        }
    }

    pub(crate) fn has_idle(&self) -> bool {
        !self.idle.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_unbroken_head_is_a_hit() {
        let mut cache = PrefixCache::default();
        cache.use_blocks(&[1, 2, 4]);
        assert_eq!(cache.leading(&[1, 2, 3, 4]), 2);
        assert_eq!(cache.leading(&[3, 1]), 0);
    }

    #[test]
    fn shared_blocks_are_idle_after_their_last_user() {
        let mut cache = PrefixCache::default();
        cache.use_blocks(&[1, 2]);
        cache.use_blocks(&[1, 3]);
        assert_eq!(cache.unused(&[1, 2, 3, 4]), 1);
        assert_eq!(cache.leave_blocks(&[1, 2]), 1);
        assert_eq!(cache.leave_blocks(&[1, 3]), 2);
    }

    #[test]
    fn the_least_recently_used_tail_goes_first() {
        let mut cache = PrefixCache::default();
        cache.use_blocks(&[1, 2]);
        cache.use_blocks(&[8, 9]);
        cache.leave_blocks(&[1, 2]);
        cache.leave_blocks(&[8, 9]);
        cache.keep_idle(3);
        assert_eq!(cache.leading(&[1, 2]), 1);
        cache.keep_idle(1);
        assert_eq!((cache.leading(&[1]), cache.leading(&[8, 9])), (0, 1));
    }

    #[test]
    fn blocks_in_use_are_never_evicted() {
        let mut cache = PrefixCache::default();
        cache.use_blocks(&[1]);
        cache.keep_idle(0);
        assert_eq!(cache.leading(&[1]), 1);
    }
}
