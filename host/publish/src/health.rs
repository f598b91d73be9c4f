//! Whether the process lives and is ready: plain data, asked with an instant of the caller's clock.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Cycles that may be overdue before the loop is taken for dead: one that runs into its time
/// limit, one that is skipped for it, and two of slack.
const OVERDUE_PERIODS: u32 = 4;

/// What is known of the process. Instants are of a monotonic clock, since any origin.
#[derive(Debug)]
pub struct Health {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// What each cache lacks of what the cluster has; `None` where it has all.
    caches: BTreeMap<String, Option<String>>,
    /// `None` until the loop runs.
    beat: Option<Beat>,
    ticked: bool,
}

/// The last sign of life of the loop.
#[derive(Clone, Copy, Debug)]
struct Beat {
    at: Duration,
    period: Duration,
}

/// What a probe is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub passed: bool,
    /// A line for each check, as Kubernetes' own components write them.
    pub text: String,
}

impl Health {
    /// Not ready before each of these caches is [`Self::synced`].
    #[must_use]
    pub fn new<'a>(caches: impl IntoIterator<Item = &'a str>) -> Self {
        let unknown = || Some("not synced yet".to_owned());
        let waiting = caches.into_iter().map(|name| (name.to_owned(), unknown()));
        Self {
            known: Mutex::new(Known {
                caches: waiting.collect(),
                ..Known::default()
            }),
        }
    }

    /// A cache holds what the cluster has.
    pub fn synced(&self, cache: &str) {
        self.known().caches.insert(cache.to_owned(), None);
    }

    /// A cache lacks something still.
    pub fn lacks(&self, cache: &str, what: String) {
        self.known().caches.insert(cache.to_owned(), Some(what));
    }

    /// The loop starts; its first cycle is due within a period.
    pub fn started(&self, now: Duration, period: Duration) {
        self.known().beat = Some(Beat { at: now, period });
    }

    /// A cycle came to its end, whether or not it could decide: a Prometheus that is down is no
    /// reason to restart us.
    pub fn ticked(&self, now: Duration, period: Duration) {
        let mut known = self.known();
        known.beat = Some(Beat { at: now, period });
        known.ticked = true;
    }

    /// Whether the loop lives. Before it runs it is not asked for.
    #[must_use]
    pub fn live(&self, now: Duration) -> Answer {
        let dead = self.known().beat.and_then(|beat| beat.overdue(now));
        answer("healthz", [("loop".to_owned(), dead)])
    }

    /// Whether what we serve is of this cluster, now.
    #[must_use]
    pub fn ready(&self) -> Answer {
        let known = self.known();
        let caches = known.caches.iter();
        let caches = caches.map(|(name, lacks)| (format!("cache/{name}"), lacks.clone()));
        let first = (!known.ticked).then(|| "not done yet".to_owned());
        answer("readyz", caches.chain([("first-tick".to_owned(), first)]))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Whoever panicked under the lock left values that are each still valid.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Beat {
    /// Why the loop is taken for dead.
    fn overdue(self, now: Duration) -> Option<String> {
        let age = now.saturating_sub(self.at);
        let longest = self.period.saturating_mul(OVERDUE_PERIODS);
        (age > longest).then(|| {
            format!(
                "no cycle came to its end for {} s; one is due every {} s",
                age.as_secs(),
                self.period.as_secs_f64()
            )
        })
    }
}

/// A check without a complaint has passed.
fn answer(probe: &str, checks: impl IntoIterator<Item = (String, Option<String>)>) -> Answer {
    let mut text = String::new();
    let mut passed = true;
    for (name, complaint) in checks {
        passed &= complaint.is_none();
        // Writing to a string does not fail.
        let _ = match complaint {
            None => writeln!(text, "[+]{name} ok"),
            Some(complaint) => writeln!(text, "[-]{name} failed: {complaint}"),
        };
    }
    text += probe;
    text += if passed {
        " check passed\n"
    } else {
        " check failed\n"
    };
    Answer { passed, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(15);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_loop_that_has_not_started_is_not_dead() {
        let health = Health::new(["pods"]);
        assert!(health.live(at(100_000)).passed);
    }

    #[test]
    fn a_loop_is_dead_when_its_last_cycle_is_four_periods_old() {
        let health = Health::new([]);
        health.started(at(10), PERIOD);
        assert!(health.live(at(70)).passed);
        let dead = health.live(at(71));
        assert!(!dead.passed);
        assert_eq!(
            dead.text,
            "[-]loop failed: no cycle came to its end for 61 s; one is due every 15 s\n\
             healthz check failed\n"
        );
        health.ticked(at(72), PERIOD);
        assert!(health.live(at(120)).passed);
    }

    #[test]
    fn a_period_that_changed_counts_from_the_next_cycle_on() {
        let health = Health::new([]);
        health.ticked(at(0), PERIOD);
        health.ticked(at(15), Duration::from_secs(60));
        assert!(health.live(at(200)).passed);
    }

    #[test]
    fn a_process_is_ready_after_its_caches_and_its_first_cycle() {
        let health = Health::new(["nodes", "pods"]);
        health.synced("nodes");
        let waits = health.ready();
        assert!(!waits.passed);
        assert_eq!(
            waits.text,
            "[+]cache/nodes ok\n[-]cache/pods failed: not synced yet\n\
             [-]first-tick failed: not done yet\nreadyz check failed\n"
        );
        health.synced("pods");
        assert!(!health.ready().passed);
        health.ticked(at(1), PERIOD);
        assert!(health.ready().passed);
    }

    #[test]
    fn what_a_cache_lacks_is_told() {
        let health = Health::new(["cluster"]);
        health.lacks("cluster", "Pod: not listed yet".to_owned());
        let waits = health.ready().text;
        assert!(
            waits.contains("[-]cache/cluster failed: Pod: not listed yet"),
            "{waits}"
        );
    }
}
