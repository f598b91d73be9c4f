//! One walk along the line, on a real cluster: observe, measure, decide, publish.

mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;
use tracing::Instrument as _;
use trimtab_cluster::actuation::{Finding, Follower};
use trimtab_cluster::events::{News, Speaker};
use trimtab_cluster::status::Writer;
use trimtab_cluster::view::View;
use trimtab_cluster::{Claimant, Cluster, Key, Registration, policy_status};
use trimtab_core::binding::{Binding, decide};
use trimtab_core::decision::{Condition, PoolDecision, condition};
use trimtab_core::fleet::{FleetPool, Measured};
use trimtab_core::memory::Memory;
use trimtab_core::shadow::shadows;
use trimtab_core::snapshot::Snapshot;
use trimtab_observe::{Answers, Client as Prometheus, Measurer, Pace, Queries};
use trimtab_publish::metrics::{
    Outcome, PoolMetrics, Published, Query, Registry, Stage, StageSeconds,
};
use trimtab_publish::scaler::{Registered, Registrations};

use super::actuating::{Actuator, Rules, Started, Woken};
use super::clock::{Stopwatch, now_ms, steady_ms};
use super::config::{Actuation, Config, PoolEntry, PoolIdentity};
use super::leader::Leadership;
use super::policies::{Policies, ShadowTime, entry};
use super::watched::Meter;

/// All that a cycle works with.
pub(super) struct Cycle {
    pub(super) cluster: Cluster,
    pub(super) prometheus: Prometheus,
    pub(super) queries: Queries,
    pub(super) pace: Pace,
    pub(super) measurer: Measurer,
    pub(super) policies: Policies,
    /// Rules of PoolPolicies, by the pool's namespace and name.
    pub(super) bound: Arc<BTreeMap<Key, PoolEntry>>,
    /// Where what is seen is passed on to whoever says who uses a policy.
    pub(super) passed_on: watch::Sender<Option<Arc<View>>>,
    pub(super) memory: Memory,
    pub(super) registry: Arc<Registry>,
    /// What KEDA asks about.
    pub(super) registrations: Arc<Registrations>,
    pub(super) writer: Writer,
    pub(super) policy_writer: policy_status::Writer,
    pub(super) news: News,
    pub(super) speaker: Speaker,
    pub(super) leadership: Leadership,
    pub(super) actuator: Actuator,
    pub(super) follower: Follower,
    /// HPAs whose tolerance was to be set.
    pub(super) tolerances: BTreeSet<Claimant>,
    /// Where `config` and `inherited` are passed on to whoever starts pools.
    pub(super) rules: watch::Sender<Arc<Rules>>,
    /// What stood in the way of a pool that was to be started, until the next cycle.
    pub(super) not_started: Vec<Woken>,
    pub(super) config: Config,
    /// Entries from WVA's ConfigMaps, below those of the configuration.
    pub(super) inherited: Vec<PoolEntry>,
    /// Why Prometheus did not answer last.
    pub(super) unanswered: Option<String>,
}

/// What a cycle sees.
struct Seen {
    now_ms: u64,
    steady_ms: u64,
    view: Arc<View>,
    fleet: Vec<FleetPool>,
    bindings: Vec<Binding>,
    /// How long candidates in shadow may take.
    shadow_time: ShadowTime,
    /// What was decided on.
    snapshot: Option<Snapshot>,
    measured: Vec<Measured>,
    /// How each pool is measured.
    pools: Vec<PoolMetrics>,
    queries: Vec<Query>,
    /// Seconds until the view stood, and from then until it was measured.
    seconds: [f64; 2],
}

impl Cycle {
    /// One cycle. Decides only as the leader, and writes only while it still is. Counts are shown
    /// before anything is written: the API server may have too much to do.
    /// Tells whether another count than before is asked for.
    pub(super) async fn run(&mut self) -> bool {
        let mut seen = self.observe().await;
        let mut watch = Stopwatch::start();
        let decisions = tokio::task::block_in_place(|| self.decide(&mut seen));
        let decided = watch.lap();
        let changed = self.log(&seen.view, &decisions);
        let mut told = self.show(&mut seen, decisions);
        self.act(&seen.view, &mut told.decisions).await;
        let findings = self.follow_up(&seen.view, &mut told);
        tokio::task::block_in_place(|| self.shadow(&seen, &told.decisions));
        let spent = seen.seconds.iter().sum::<f64>() + decided;
        self.write(&seen.view, &told, &findings, spent).await;
        let [observed, measured] = seen.seconds;
        self.registry.ended(
            Outcome::Done,
            &[
                took(Stage::Observe, observed),
                took(Stage::Measure, measured),
                took(Stage::Decide, decided),
                took(Stage::Publish, watch.lap()),
            ],
        );
        changed
    }

    /// A cycle of one that does not lead: sees and shows what there is, and decides nothing.
    pub(super) async fn follow(&mut self) {
        let mut seen = self.observe().await;
        self.show(&mut seen, Vec::new());
        self.registry.conditions(&[]);
        let [observed, measured] = seen.seconds;
        let stages = [
            took(Stage::Observe, observed),
            took(Stage::Measure, measured),
        ];
        self.registry.ended(Outcome::Observed, &stages);
    }

    async fn observe(&mut self) -> Seen {
        let (now_ms, steady_ms) = (now_ms(), steady_ms());
        let mut watch = Stopwatch::start();
        let registered = self.registrations.now().into_iter();
        let registered = registered.map(|(of, told)| (of, registration(told)));
        self.cluster.register(registered.collect());
        let view = self.cluster.view();
        self.bound = Arc::new(bound(&view));
        self.pass_on();
        self.passed_on.send_replace(Some(Arc::clone(&view)));
        let shadow_time = ShadowTime {
            meter: Arc::new(Meter::default()),
            longest_ms: (self.config.shadow_seconds() * 1000.0) as u64,
        };
        let (fleet, bindings) = self.fleet(&view, &shadow_time);
        let observed = watch.lap();
        let due = self.pace.due(&self.queries, now_ms);
        let mut answers = self.prometheus.ask(due, now_ms).await;
        self.pace.complete(&mut answers, now_ms);
        self.tell_of_unanswered(&answers);
        let measured = self.measurer.measure(&fleet, &answers, now_ms);
        Seen {
            now_ms,
            steady_ms,
            view,
            bindings,
            shadow_time,
            snapshot: None,
            pools: pools(&fleet, &measured),
            fleet,
            measured,
            queries: queries(&answers),
            seconds: [observed, watch.lap()],
        }
    }

    fn show(&self, seen: &mut Seen, decisions: Vec<PoolDecision>) -> Published {
        let told = Published {
            now_ms: seen.now_ms,
            steady_ms: seen.steady_ms,
            leader: self.leadership.left().is_some(),
            decisions,
            scaled_objects: seen.view.scaled_objects.clone(),
            pools: std::mem::take(&mut seen.pools),
            inventory: seen.view.inventory.clone().ok(),
            policies: self.policies.names(),
            queries: std::mem::take(&mut seen.queries),
        };
        self.registry.update(&told);
        told
    }

    /// Asks, between two cycles, what the next ones need not wait for.
    pub(super) async fn ask_ahead(&mut self) {
        let now_ms = now_ms();
        let ahead = self.pace.ahead(&self.queries);
        let answers = self.prometheus.ask(ahead, now_ms).await;
        self.pace.keep(answers, now_ms);
    }

    /// Sets the counts of pools that are scaled directly, as long as this process leads; and says what
    /// keeps others from being started.
    async fn act(&mut self, view: &View, decisions: &mut [PoolDecision]) {
        for told in self.not_started.drain(..) {
            let mut pools = decisions.iter_mut();
            let named =
                |of: &&mut PoolDecision| of.namespace == told.namespace && of.pool == told.pool;
            if let (Started::Nothing(condition), Some(pool)) = (told.what, pools.find(named)) {
                pool.conditions.push(condition);
            }
        }
        let Some(leads_for) = self.leadership.left() else {
            return;
        };
        let rules = Arc::clone(&self.rules.borrow());
        let acting = async {
            self.actuator.act(view, &rules, decisions).await;
            if rules.config.manage_hpa_tolerance {
                let tried = &mut self.tolerances;
                self.actuator.tolerate_nothing(view, tried).await;
            }
        };
        if tokio::time::timeout(leads_for, acting).await.is_err() {
            tracing::warn!("not all is scaled: this process no longer leads");
        }
    }

    /// Whether what is asked for comes to be. What keeps it from that is a condition of its pool.
    fn follow_up(&mut self, view: &View, told: &mut Published) -> Vec<Vec<Option<Finding>>> {
        let rules = Arc::clone(&self.rules.borrow());
        let pools = view.pools.iter().zip(&told.decisions);
        let pools = pools.map(|(pool, decision)| {
            let direct = rules.of(pool).actuation == Actuation::Direct;
            (pool, decision, direct)
        });
        let findings = self.follower.follow(pools, told.now_ms);
        for (decision, findings) in told.decisions.iter_mut().zip(&findings) {
            let variants = decision.variants.iter().zip(findings);
            let conditions = variants.filter_map(|(of, finding)| {
                let finding = finding.as_ref()?;
                let (reason, message) = (finding.reason, &finding.message);
                Some(Condition::of_variant(reason, &of.variant, message))
            });
            let conditions: Vec<Condition> = conditions.collect();
            decision.conditions.extend(conditions);
        }
        self.registry.conditions(&told.decisions);
        findings
    }

    /// A pool was started, or could not be, between two cycles.
    pub(super) fn woken(&mut self, woken: Woken) {
        match &woken.what {
            Started::Variant(variant) => {
                let (namespace, pool) = (&woken.namespace, &woken.pool);
                self.memory.raise(namespace, pool, variant, 1);
            }
            Started::Nothing(_) => {
                let is_of_it =
                    |of: &Woken| of.namespace == woken.namespace && of.pool == woken.pool;
                self.not_started.retain(|of| !is_of_it(of));
                self.not_started.push(woken);
            }
        }
    }

    /// What holds now is passed on.
    fn pass_on(&self) {
        self.rules.send_if_modified(|rules| {
            let same = rules.config == self.config
                && rules.inherited == self.inherited
                && rules.bound == self.bound;
            if !same {
                *rules = Arc::new(Rules {
                    config: self.config.clone(),
                    inherited: self.inherited.clone(),
                    bound: Arc::clone(&self.bound),
                });
            }
            !same
        });
    }

    /// The pools as they are to be measured, each with the operator's rules for it, and beside them
    /// the policies of each.
    fn fleet(&mut self, view: &View, time: &ShadowTime) -> (Vec<FleetPool>, Vec<Binding>) {
        let rules = Arc::clone(&self.rules.borrow());
        let catalogue = self.policies.catalogue();
        let pools = view.pools.iter();
        pools
            .map(|pool| {
                let mut fleet = pool.fleet.clone();
                let settings = rules.of(pool);
                fleet.pool.objective = settings.objective;
                fleet.rules = settings.rules;
                let holder = view.policies.of_pool(&fleet).map(|(key, _)| key);
                let analyzer = &settings.analyzer_settings;
                let binding = self
                    .policies
                    .bind(&fleet, holder, analyzer, &catalogue, time);
                (fleet, binding)
            })
            .unzip()
    }

    /// Asks the candidates that are tried in shadow, as long as there is time for them.
    fn shadow(&mut self, seen: &Seen, decisions: &[PoolDecision]) {
        let Some(snapshot) = &seen.snapshot else {
            return;
        };
        let (meter, most) = (&seen.shadow_time.meter, self.config.shadow_seconds());
        let may_go_on = || meter.seconds() < most;
        let memory = &mut self.memory;
        let shadowed = shadows(snapshot, &seen.bindings, decisions, memory, &may_go_on);
        self.registry.shadows(&shadowed, decisions, meter.seconds());
        let experiment = |of: &PoolDecision| self.memory.experiment(&of.namespace, &of.pool);
        self.registry.trials(decisions, experiment);
    }

    fn decide(&mut self, seen: &mut Seen) -> Vec<PoolDecision> {
        let fleet = std::mem::take(&mut seen.fleet);
        let pools = fleet.into_iter().zip(std::mem::take(&mut seen.measured));
        let view = &seen.view;
        let limited = self.config.limit_to_inventory;
        let mut snapshot = Snapshot {
            now_ms: seen.now_ms,
            period_seconds: self.config.interval_seconds.seconds(),
            pools: pools
                .map(|(pool, measured)| pool.measured(measured))
                .collect(),
            inventory: view.inventory.clone().ok().filter(|_| limited),
            budget_per_hour: self.config.budget_per_hour,
        };
        let recorded = |pool: usize, variant: usize| {
            let variants = &view.pools.get(pool)?.variants;
            variants.get(variant)?.recorded_count()
        };
        self.memory.settle(&mut snapshot, recorded);
        let mut decisions = decide(&snapshot, &seen.bindings, &mut self.memory);
        self.policies.judge(&self.memory);
        seen.snapshot = Some(snapshot);
        let lacks = view.inventory.as_ref().err().map_or("", String::as_str);
        for decision in &mut decisions {
            let conditions = &mut decision.conditions;
            let unknown = |told: &Condition| told.reason == condition::INVENTORY_UNKNOWN;
            conditions.retain(|told| limited || !unknown(told));
            for told in conditions.iter_mut().filter(|told| unknown(told)) {
                told.message = format!("{}: {lacks}", told.message);
            }
        }
        decisions
    }
}

/// Rules of PoolPolicies, by the pool's namespace and name.
fn bound(view: &View) -> BTreeMap<Key, PoolEntry> {
    let pools = view.pools.iter();
    let bound = pools.filter_map(|pool| {
        let (_, spec) = view.policies.of_pool(&pool.fleet)?;
        let of = (
            pool.fleet.pool.namespace.clone(),
            pool.fleet.pool.name.clone(),
        );
        Some((of, entry(spec)))
    });
    bound.collect()
}

fn registration(told: Registered) -> Registration {
    Registration {
        model: told.model,
        cost: told.cost,
        variant: told.variant,
    }
}

fn took(stage: Stage, seconds: f64) -> StageSeconds {
    StageSeconds { stage, seconds }
}

pub(super) fn identity(pool: &FleetPool) -> PoolIdentity<'_> {
    PoolIdentity {
        namespace: &pool.pool.namespace,
        pool: &pool.pool.name,
        model: &pool.pool.model,
    }
}

/// How each pool is measured.
fn pools(fleet: &[FleetPool], measured: &[Measured]) -> Vec<PoolMetrics> {
    let pools = fleet.iter().zip(measured);
    pools
        .map(|(pool, measured)| PoolMetrics {
            namespace: pool.pool.namespace.clone(),
            pool: pool.pool.name.clone(),
            state: measured.metrics.clone(),
            age_seconds: measured
                .replicas
                .iter()
                .map(|replica| replica.metrics_age)
                .reduce(f64::max),
        })
        .collect()
}

fn queries(answers: &Answers) -> Vec<Query> {
    let stats = answers.stats.iter();
    stats
        .map(|query| Query {
            kind: query.topic.name(),
            seconds: query.seconds,
            error: query.error,
        })
        .collect()
}

/// A cycle within a span of its own.
pub(super) async fn within_span(cycle: &mut Cycle) -> bool {
    let span = tracing::info_span!("tick");
    cycle.run().instrument(span).await
}

/// A cycle that decides nothing, within a span of its own.
pub(super) async fn follow_within_span(cycle: &mut Cycle) {
    let span = tracing::info_span!("tick", leader = false);
    cycle.follow().instrument(span).await;
}
