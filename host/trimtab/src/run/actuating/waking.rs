//! Starts pools without replicas when a request waits: their endpoint pickers are asked every
//! 100 ms, and the cheapest variant that can serve is scaled at once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use trimtab_cluster::TargetKey;
use trimtab_cluster::scale::Scaled;
use trimtab_cluster::view::{PoolView, View};
use trimtab_core::decision::{Condition, condition};
use trimtab_core::fleet::Picker;
use trimtab_core::snapshot::Mode;
use trimtab_core::wake::to_start;
use trimtab_observe::Probe;
use trimtab_publish::desired::Desired;

use super::{Actuator, Rules};
use crate::run::clock::Stopwatch;
use crate::run::leader::Leadership;
use crate::run::shutdown;

/// How often a picker is asked.
const PERIOD: Duration = Duration::from_millis(100);
/// How often it is looked whether pickers moved.
const LOOK: Duration = Duration::from_secs(2);
/// Longest wait after a pool could not be started, which doubles from [`PERIOD`] on.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// What starts pools.
#[derive(Clone)]
pub(in crate::run) struct Waking {
    pub(in crate::run) actuator: Actuator,
    pub(in crate::run) probe: Arc<Probe>,
    pub(in crate::run) desired: Arc<Desired>,
    pub(in crate::run) leadership: Leadership,
    pub(in crate::run) rules: watch::Receiver<Arc<Rules>>,
    pub(in crate::run) woken: mpsc::UnboundedSender<Woken>,
}

/// What the loop is told of.
#[derive(Clone, Debug)]
pub(in crate::run) struct Woken {
    pub(in crate::run) namespace: String,
    pub(in crate::run) pool: String,
    pub(in crate::run) what: Started,
}

#[derive(Clone, Debug)]
pub(in crate::run) enum Started {
    /// One replica of this variant.
    Variant(String),
    /// Nothing could be.
    Nothing(Condition),
}

type Key = (String, String);

/// A pool without replicas.
#[derive(Default)]
struct Sleeper {
    picker: Option<Picker>,
    asked: bool,
    /// Failures in a row, and when it is asked again after the last.
    failures: u32,
    rests_until: Duration,
    /// What was told of last.
    trouble: Option<String>,
}

/// What came of asking.
enum Answer {
    /// Nothing waits, or what was needed is started.
    Well,
    /// Its picker cannot be asked.
    Unanswered(String),
    /// It is not started.
    Failed,
}

impl Waking {
    /// Until the process is told to stop.
    pub(in crate::run) async fn run(self, stopping: watch::Receiver<bool>) {
        let clock = Stopwatch::start();
        let mut due = tokio::time::interval(PERIOD);
        due.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut sleepers: BTreeMap<Key, Sleeper> = BTreeMap::new();
        let mut asking: JoinSet<(Key, Answer)> = JoinSet::new();
        let mut zero: BTreeSet<TargetKey> = BTreeSet::new();
        let mut looked: Option<Duration> = None;
        loop {
            tokio::select! {
                () = shutdown::told(stopping.clone()) => return,
                Some(answered) = asking.join_next() => {
                    if let Ok((of, answer)) = answered
                        && let Some(sleeper) = sleepers.get_mut(&of)
                    {
                        sleeper.answered(&of, answer, clock.elapsed());
                    }
                    continue;
                }
                _ = due.tick() => {}
            }
            if self.leadership.left().is_none() {
                sleepers.clear();
                looked = None;
                continue;
            }
            let now = clock.elapsed();
            let at_zero = self.actuator.cluster.at_zero();
            let late = looked.is_none_or(|looked| now.saturating_sub(looked) > LOOK);
            if at_zero != zero || (late && !at_zero.is_empty()) {
                sleepers = sleeping(&self.actuator.cluster.view(), sleepers);
                looked = Some(now);
            }
            zero = at_zero;
            for (of, sleeper) in &mut sleepers {
                if let Some(picker) = sleeper.due(now) {
                    let (waking, of) = (self.clone(), of.clone());
                    asking.spawn(async move {
                        let answer = waking.ask(&of, &picker).await;
                        (of, answer)
                    });
                }
            }
        }
    }

    /// Asks the picker of a pool, and starts the pool where a request waits.
    async fn ask(&self, (namespace, pool): &Key, picker: &Picker) -> Answer {
        match self.probe.waits(namespace, picker).await {
            Ok(false) => Answer::Well,
            Ok(true) => self.start(namespace, pool).await,
            Err(error) => Answer::Unanswered(error.to_string()),
        }
    }

    async fn start(&self, namespace: &str, name: &str) -> Answer {
        let took = Stopwatch::start();
        let view = self.actuator.cluster.view();
        let named = |of: &&PoolView| {
            let of = &of.fleet.pool;
            of.namespace == namespace && of.name == name
        };
        let Some(of) = view.pools.iter().find(named) else {
            return Answer::Well;
        };
        let rules = Arc::clone(&self.rules.borrow());
        if rules.of(of).rules.mode != Mode::Enforce {
            return Answer::Well;
        }
        let limited = rules.config.limit_to_inventory;
        let free = view.inventory.as_deref().ok().filter(|_| limited);
        let mut pool = of.fleet.pool.clone();
        for (variant, of) in pool.variants.iter_mut().zip(&of.variants) {
            // Whoever pauses a ScaledObject at zero means it.
            if of.scalers.iter().any(|scaler| scaler.paused) {
                variant.max_replicas = 0;
            }
        }
        let positions = match to_start(&pool, free) {
            Ok(positions) => positions,
            Err(why) => {
                let message = format!("a request waits, and nothing is started: {why}");
                return self.failed(of, Condition::new(condition::CANNOT_START, message));
            }
        };
        for position in positions {
            let variants = of.variants.get(position).zip(pool.variants.get(position));
            let Some((target, variant)) = variants else {
                continue;
            };
            let (target, variant) = (&target.target, &variant.name);
            match self.actuator.scale(target, (0, 1)).await {
                Ok(Scaled::Done) => {
                    let milliseconds = took.elapsed().as_millis();
                    tracing::info!(%target, variant, milliseconds, "started: a request waits");
                    self.desired.raise(namespace, variant, 1);
                    self.tell(of, Started::Variant(variant.clone()));
                }
                // It was started by now.
                Ok(Scaled::Found(_)) => {}
                Err(why) => {
                    let message = format!("a request waits, and {target} is not started: {why}");
                    let failed = condition::SCALING_FAILED;
                    return self.failed(of, Condition::of_variant(failed, variant, &message));
                }
            }
        }
        Answer::Well
    }

    fn failed(&self, of: &PoolView, why: Condition) -> Answer {
        self.tell(of, Started::Nothing(why));
        Answer::Failed
    }

    /// The loop decides anew with it, unless it ends.
    fn tell(&self, of: &PoolView, what: Started) {
        let pool = &of.fleet.pool;
        let _ = self.woken.send(Woken {
            namespace: pool.namespace.clone(),
            pool: pool.name.clone(),
            what,
        });
    }
}

impl Sleeper {
    /// The picker to ask now.
    fn due(&mut self, now: Duration) -> Option<Picker> {
        if self.asked || now < self.rests_until {
            return None;
        }
        let picker = self.picker.clone()?;
        self.asked = true;
        Some(picker)
    }

    fn answered(&mut self, (namespace, pool): &Key, answer: Answer, now: Duration) {
        self.asked = false;
        let trouble = match answer {
            Answer::Well => None,
            Answer::Unanswered(why) => Some(why),
            Answer::Failed => {
                let wait = PERIOD.saturating_mul(1 << self.failures.min(16));
                self.failures += 1;
                self.rests_until = now + wait.min(LONGEST_WAIT);
                return;
            }
        };
        self.failures = 0;
        if let Some(why) = trouble.as_ref().filter(|_| trouble != self.trouble) {
            tracing::warn!(
                namespace,
                pool,
                why,
                "whether a request waits for a pool without replicas is not known"
            );
        }
        self.trouble = trouble;
    }
}

/// Pools of which something is at zero that a request may need, with what is known of them.
fn sleeping(view: &View, mut before: BTreeMap<Key, Sleeper>) -> BTreeMap<Key, Sleeper> {
    let asleep = view.pools.iter().filter(|of| {
        let starts = to_start(&of.fleet.pool, None);
        starts.map_or(true, |positions| !positions.is_empty())
    });
    asleep
        .map(|of| {
            let pool = &of.fleet.pool;
            let key = (pool.namespace.clone(), pool.name.clone());
            let sleeper = Sleeper {
                picker: of.fleet.picker.clone(),
                ..before.remove(&key).unwrap_or_default()
            };
            (key, sleeper)
        })
        .collect()
}
