//! From what objects ask for to policies that can be bound.
//!
//! A policy that is asked for anew and is not there yet leaves the one before at work. One that is
//! gone, or does not take its settings, is stood in for: by what was bound before, then by the
//! built-in one; these may raise and not lower.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use trimtab_cluster::Key;
use trimtab_cluster::crd::pool_policy::{CandidateSpec, ExperimentSpec, PolicyUse, PoolPolicySpec};
use trimtab_cluster::policies::{PolicyView, StoredPolicy};
use trimtab_core::experiment::{Experiment, StopIf};
use trimtab_core::policies::Bound;
use trimtab_sandbox::{Entry, SandboxedAnalyzer, SandboxedOptimizer, State, Table};

use super::catalogue::{Candidate, Catalogue, Loaded, Problem, Resolved, Use};
use super::checks::Checks;
use super::document;
use super::entry::seconds;
use crate::binding::Role;

/// What is bound where nothing is asked for.
#[derive(Clone)]
pub(crate) struct Defaults {
    pub(crate) analyzer: Bound<SandboxedAnalyzer>,
    pub(crate) optimizer: Bound<SandboxedOptimizer>,
}

/// Remembers what was bound and what was checked.
pub(crate) struct Resolver {
    defaults: Defaults,
    /// Namespace whose ScalingPolicies are for all.
    shared: String,
    checks: Checks,
    analyzers: Kept<SandboxedAnalyzer>,
    optimizers: Kept<SandboxedOptimizer>,
}

/// What was bound last at each place of each PoolPolicy.
struct Kept<R>(BTreeMap<Place, Bound<R>>);

type Place = (Key, String);

/// What of the cluster is asked about.
struct Seen<'a> {
    view: &'a PolicyView,
    table: &'a Table,
    shared: &'a str,
}

/// What becomes of the policies of one PoolPolicy.
struct Told<'a> {
    key: &'a Key,
    problems: Vec<Problem>,
    rolled_back: Vec<String>,
}

impl Resolver {
    pub(crate) fn new(defaults: Defaults, shared: &str) -> Self {
        Self {
            defaults,
            shared: shared.to_owned(),
            checks: Checks::default(),
            analyzers: Kept(BTreeMap::new()),
            optimizers: Kept(BTreeMap::new()),
        }
    }

    pub(crate) fn shared(&self) -> &str {
        &self.shared
    }

    /// Calls guests: it may take seconds.
    pub(crate) fn resolve(&mut self, view: &PolicyView, table: &Table) -> Catalogue {
        let shared = self.shared.clone();
        let seen = Seen {
            view,
            table,
            shared: &shared,
        };
        let policies = view.policies.iter();
        let policies = policies.map(|(key, stored)| {
            let entry = table.entries.get(key).cloned();
            let unfit = entry
                .as_ref()
                .and_then(|entry| self.unfit(key, stored, entry));
            (key.clone(), Loaded { entry, unfit })
        });
        let policies = policies.collect();
        let pool_policies = view.pool_policies.iter();
        let pool_policies = pool_policies.filter_map(|(key, stored)| {
            let spec = stored.spec.as_ref().ok()?;
            Some((key.clone(), Arc::new(self.bind(key, spec, &seen))))
        });
        let pool_policies = pool_policies.collect();
        self.checks.sweep();
        let is_there = |(key, _): &Place| view.pool_policies.contains_key(key);
        self.analyzers.0.retain(|place, _| is_there(place));
        self.optimizers.0.retain(|place, _| is_there(place));
        Catalogue {
            policies,
            pool_policies,
        }
    }

    /// Why a policy does not take its own object's settings.
    fn unfit(&mut self, key: &Key, stored: &StoredPolicy, entry: &Entry) -> Option<String> {
        let (policy, spec) = (entry.current.as_ref()?, stored.spec.as_ref().ok()?);
        let place = format!("{}: spec.settings", named(key));
        let settings = document(&spec.settings);
        let of_analyzer = SandboxedAnalyzer::of(policy)
            .and_then(|role| self.checks.check(&*role, &settings, &place).err());
        of_analyzer.or_else(|| {
            let role = SandboxedOptimizer::of(policy)?;
            self.checks.check(&*role, &settings, &place).err()
        })
    }

    fn bind(&mut self, key: &Key, spec: &PoolPolicySpec, seen: &Seen<'_>) -> Resolved {
        let mut told = Told {
            key,
            problems: Vec::new(),
            rolled_back: Vec::new(),
        };
        let analyzers = self.analyzers("", &spec.analyzers, seen, &mut told);
        let optimizer = spec.optimizer.as_ref();
        let optimizer = optimizer.map(|of| self.optimizer("", of, seen, &mut told));
        let shadows = spec.shadows.iter().map(|shadow| {
            let of = CandidateSpec {
                analyzers: shadow.analyzers.clone(),
                optimizer: shadow.optimizer.clone(),
            };
            self.candidate(("shadow", &shadow.name), &of, seen, key)
        });
        let shadows = shadows.collect();
        let experiment = spec.experiment.as_ref().map(|experiment| {
            let candidate = self.candidate(
                ("experiment", "candidate"),
                &experiment.candidate,
                seen,
                key,
            );
            (rules(experiment), candidate)
        });
        Resolved {
            analyzers,
            optimizer,
            shadows,
            experiment,
            problems: told.problems,
            rolled_back: told.rolled_back,
        }
    }

    fn candidate(
        &mut self,
        (kind, name): (&str, &str),
        of: &CandidateSpec,
        seen: &Seen<'_>,
        key: &Key,
    ) -> Candidate {
        let mut told = Told {
            key,
            problems: Vec::new(),
            rolled_back: Vec::new(),
        };
        let place = format!("{kind} {name} ");
        let analyzers = self.analyzers(&place, &of.analyzers, seen, &mut told);
        let optimizer = of.optimizer.as_ref();
        let optimizer = optimizer.map(|of| self.optimizer(&place, of, seen, &mut told));
        Candidate {
            name: name.to_owned(),
            analyzers: (!analyzers.is_empty()).then_some(analyzers),
            optimizer,
            lacks: told.problems.into_iter().next(),
        }
    }

    fn analyzers(
        &mut self,
        whose: &str,
        uses: &[PolicyUse],
        seen: &Seen<'_>,
        told: &mut Told<'_>,
    ) -> Vec<Use<SandboxedAnalyzer>> {
        let uses = uses.iter().enumerate();
        uses.map(|(position, of)| {
            let place = format!("{whose}analyzers[{position}]");
            let (default, kept) = (&self.defaults.analyzer, &mut self.analyzers);
            resolve_use(of, (place, default), kept, &mut self.checks, seen, told)
        })
        .collect()
    }

    fn optimizer(
        &mut self,
        whose: &str,
        of: &PolicyUse,
        seen: &Seen<'_>,
        told: &mut Told<'_>,
    ) -> Use<SandboxedOptimizer> {
        let place = format!("{whose}optimizer");
        let (default, kept) = (&self.defaults.optimizer, &mut self.optimizers);
        resolve_use(of, (place, default), kept, &mut self.checks, seen, told)
    }
}

fn resolve_use<R: Role>(
    of: &PolicyUse,
    (place, default): (String, &Bound<R>),
    kept: &mut Kept<R>,
    checks: &mut Checks,
    seen: &Seen<'_>,
    told: &mut Told<'_>,
) -> Use<R> {
    let Some(reference) = &of.policy_ref else {
        return default_use(of, &place, default, checks, told);
    };
    let key = seen
        .view
        .policy_key(&told.key.0, &reference.name, seen.shared);
    let at = (told.key.clone(), place);
    let found = find(&key, &of.settings, (&at.1, default), checks, seen);
    match found {
        Ok((bound, rolled_back)) => {
            told.rolled_back.extend(rolled_back);
            kept.0.insert(at, bound.clone());
            Use::Bound(bound)
        }
        Err(problem) => {
            let before = kept.0.get(&at);
            let bound = match before {
                Some(before) if problem.reason == FETCHING => before.clone(),
                before => {
                    let before = before.map(|before| without(before, seen.table, &key));
                    stand_in(before.as_ref(), default, &problem.message)
                }
            };
            told.problems.push(problem);
            Use::Bound(bound)
        }
    }
}

/// The configuration's policy with other settings, where it takes them.
fn default_use<R: Role>(
    of: &PolicyUse,
    place: &str,
    default: &Bound<R>,
    checks: &mut Checks,
    told: &mut Told<'_>,
) -> Use<R> {
    let Some(first) = default.rungs.first() else {
        return Use::Default(of.settings.clone());
    };
    let mut settings = read(&default.settings);
    settings.extend(of.settings.clone());
    let place = format!("spec.{place}.settings");
    match checks.check(&**first, &document(&settings), &place) {
        Ok(()) => Use::Default(of.settings.clone()),
        Err(message) => {
            let bound = stand_in(Some(default), default, &message);
            told.problems.push(Problem {
                reason: SETTINGS_INVALID,
                message,
            });
            Use::Bound(bound)
        }
    }
}

/// A ladder that begins with what is asked for, and whether that is an earlier version of it.
fn find<R: Role>(
    key: &Key,
    settings: &Map<String, Value>,
    (place, default): (&str, &Bound<R>),
    checks: &mut Checks,
    seen: &Seen<'_>,
) -> Result<(Bound<R>, Option<String>), Problem> {
    let problem = |reason, message: String| Problem { reason, message };
    let name = named(key);
    let Some(stored) = seen.view.policies.get(key) else {
        return Err(problem("PolicyNotFound", format!("{name} does not exist")));
    };
    let spec = stored.spec.as_ref();
    let spec = spec.map_err(|why| problem("PolicyInvalid", format!("{name}: {why}")))?;
    let entry = seen.table.entries.get(key);
    let entry = entry.ok_or_else(|| problem(FETCHING, format!("{name} is being fetched")))?;
    let Some(current) = &entry.current else {
        return Err(match &entry.state {
            State::Fetching | State::Ready => problem(FETCHING, format!("{name} is being fetched")),
            State::Failed { reason, message } => {
                problem(reason.as_str(), format!("{name}: {message}"))
            }
            State::Quarantined { message, .. } => {
                problem("Quarantined", format!("{name}: {message}"))
            }
        });
    };
    let role = R::of(current).ok_or_else(|| {
        let message = format!("{name} (`{}`) is no {}", current.descriptor().name, R::NAME);
        problem("WrongRole", message)
    })?;
    let mut merged = spec.settings.clone();
    merged.extend(settings.clone());
    let merged = document(&merged);
    let place = format!("spec.{place}.settings ({name})");
    let fits = checks.check(&*role, &merged, &place);
    fits.map_err(|message| problem(SETTINGS_INVALID, message))?;
    let mut rungs = vec![role];
    rungs.extend(entry.last_good.as_ref().and_then(|policy| R::of(policy)));
    rungs.extend(default.rungs.last().cloned());
    let rolled_back = match &entry.state {
        State::Quarantined { message, .. } => Some(format!("{name}: {message}")),
        State::Fetching | State::Ready | State::Failed { .. } => None,
    };
    Ok((Bound::new(without_twins(rungs), merged), rolled_back))
}

/// Of rungs that are the same policy under the same limits the first stays: under others, it may answer
/// where it did not.
fn without_twins<R: Role>(rungs: Vec<Arc<R>>) -> Vec<Arc<R>> {
    let mut kept: Vec<Arc<R>> = Vec::with_capacity(rungs.len());
    for rung in rungs {
        let is_same = |of: &Arc<R>| of.digest() == rung.digest() && of.limits() == rung.limits();
        if !kept.iter().any(is_same) {
            kept.push(rung);
        }
    }
    kept
}

/// The same ladder without the version that was rolled back.
fn without<R: Role>(before: &Bound<R>, table: &Table, key: &Key) -> Bound<R> {
    let mut bound = before.clone();
    let state = table.entries.get(key).map(|entry| &entry.state);
    if let Some(State::Quarantined { digest, .. }) = state {
        bound.rungs.retain(|rung| rung.digest() != digest);
    }
    bound
}

/// What was bound before, then the built-in policy of the kind.
fn stand_in<R: Role>(before: Option<&Bound<R>>, default: &Bound<R>, why: &str) -> Bound<R> {
    let rungs = before
        .map(|before| before.rungs.clone())
        .unwrap_or_default();
    let rungs = rungs.into_iter().chain(default.rungs.last().cloned());
    let settings = before.map_or_else(|| "{}".into(), |before| Arc::clone(&before.settings));
    Bound {
        rungs: without_twins(rungs.collect()),
        settings,
        absent: Some(why.into()),
    }
}

const FETCHING: &str = "Fetching";
const SETTINGS_INVALID: &str = "SettingsInvalid";

fn named((namespace, name): &Key) -> String {
    format!("ScalingPolicy {namespace}/{name}")
}

fn read(document: &str) -> Map<String, Value> {
    serde_json::from_str(document).unwrap_or_default()
}

/// What is not given is as the core has it.
fn rules(spec: &ExperimentSpec) -> Experiment {
    let usual = Experiment::default();
    let length = |given: Option<_>, usual: f64| {
        let given = given.and_then(seconds);
        given.map_or(usual, |given| given.seconds())
    };
    let until = spec.until.as_ref();
    let until_ms = until.map(|until| u64::try_from(until.0.as_millisecond()).unwrap_or(0));
    let stop_if = spec.stop_if.clone().unwrap_or_default();
    Experiment {
        identity: String::new(),
        seed: spec.seed.unsigned_abs(),
        slot_seconds: length(spec.slot, usual.slot_seconds),
        washout_seconds: length(spec.washout, usual.washout_seconds),
        max_slots: spec.max_slots.unwrap_or(usual.max_slots),
        until_ms,
        stop_if: StopIf {
            attainment_below: stop_if.attainment_below,
            cost_above_ratio: stop_if.cost_above_ratio,
        },
    }
}
