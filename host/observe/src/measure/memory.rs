//! What is remembered between ticks: when replicas last reported, and when pools were last busy.

use std::collections::HashMap;

/// Of all pools of the last tick. What a tick does not name is forgotten.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    pools: HashMap<(String, String), PoolMemory>,
    /// Our clock at the last tick, in seconds.
    last_tick: Option<f64>,
}

/// Of one pool.
#[derive(Clone, Debug, Default)]
pub(super) struct PoolMemory {
    /// Since when no request was seen, as far as that was watched.
    quiet_since: Option<f64>,
    replicas: HashMap<String, Reported>,
}

/// When a replica last reported in full.
#[derive(Clone, Copy, Debug)]
struct Reported {
    /// By our clock, in seconds since the Unix epoch.
    at: f64,
    engines: u32,
    /// When it last said how many requests it finished, by our clock.
    counted_at: Option<f64>,
}

/// How a replica reports.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reporting {
    /// Age of its measurements in seconds.
    pub(super) age: f64,
    /// Its engine instances.
    pub(super) instances: u32,
    /// It said how many requests it finished, and says it no more.
    pub(super) lost_count: bool,
}

/// Whether requests are in a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    Busy,
    Quiet,
    Unknown,
}

impl Memory {
    /// Begins a tick: the pools of the last one, and whether the time since is too long to say
    /// what was in it.
    pub(super) fn begin(&mut self, now: f64, longest_gap: f64) -> (Self, bool) {
        let next = Self {
            pools: HashMap::with_capacity(self.pools.len()),
            last_tick: Some(now),
        };
        let last = std::mem::replace(self, next);
        let gap = last.last_tick.is_none_or(|tick| now - tick > longest_gap);
        (last, gap)
    }

    pub(super) fn take(&mut self, key: &(String, String)) -> PoolMemory {
        self.pools.remove(key).unwrap_or_default()
    }

    pub(super) fn put(&mut self, key: (String, String), pool: PoolMemory) {
        self.pools.insert(key, pool);
    }
}

impl PoolMemory {
    /// The last tick's memory of replicas; the pool's own is then filled anew.
    pub(super) fn take_replicas(&mut self) -> Replicas {
        Replicas(std::mem::take(&mut self.replicas))
    }

    /// Seconds since a request was last in the pool.
    pub(super) fn idle_seconds(&mut self, now: f64, activity: Activity, gap: bool) -> Option<f64> {
        match activity {
            Activity::Busy => self.quiet_since = Some(now),
            Activity::Unknown => self.quiet_since = None,
            // What came in a gap was not seen.
            Activity::Quiet if gap => self.quiet_since = Some(now),
            Activity::Quiet => {}
        }
        if activity == Activity::Unknown {
            return None;
        }
        let since = *self.quiet_since.get_or_insert(now);
        Some((now - since).max(0.0))
    }

    pub(super) fn reporting(&mut self, last: &mut Replicas, name: &str, seen: Seen) -> Reporting {
        let known = last.0.remove_entry(name);
        let counted = known.as_ref().and_then(|(_, known)| known.counted_at);
        let counted_at = if seen.counts { Some(seen.now) } else { counted };
        let counted_at = counted_at.filter(|at| seen.now - at <= seen.forget_after);
        let reporting = |age, instances| Reporting {
            age,
            instances,
            lost_count: !seen.counts && counted_at.is_some(),
        };
        let lost = |known: &(String, Reported)| {
            let missing = seen.live < known.1.engines;
            missing && (seen.live == 0 || seen.now - known.1.at <= seen.forget_after)
        };
        if let Some((name, reported)) = known.filter(lost) {
            let engines = reported.engines.max(seen.engines);
            let reported = Reported {
                counted_at,
                ..reported
            };
            self.replicas.insert(name, reported);
            return reporting((seen.now - reported.at).max(0.0), engines);
        }
        let instances = seen.engines.max(1);
        let Some(age) = seen.age else {
            return reporting((seen.now - seen.ready_since).max(0.0), instances);
        };
        let reported = Reported {
            at: seen.now - age,
            engines: seen.live,
            counted_at,
        };
        self.replicas.insert(name.to_owned(), reported);
        reporting(age, instances)
    }
}

/// Replicas as the last tick left them.
pub(super) struct Replicas(HashMap<String, Reported>);

/// What a tick sees of a replica.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Our clock, in seconds since the Unix epoch.
    pub(super) now: f64,
    pub(super) ready_since: f64,
    /// Seconds since its oldest instance reported; `None` where none did.
    pub(super) age: Option<f64>,
    /// Instances whose last scrape went well.
    pub(super) live: u32,
    /// Instances that report a load, within the windows.
    pub(super) engines: u32,
    /// Whether it says how many requests it finished.
    pub(super) counts: bool,
    /// Seconds after which an instance that no longer reports is taken for gone.
    pub(super) forget_after: f64,
}
