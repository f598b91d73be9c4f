//! From objects to ladders, over components that are really loaded.

use std::sync::{Arc, LazyLock};

use serde_json::json;
use trimtab_cluster::Key;
use trimtab_cluster::policies::{PolicyView, Stored};
use trimtab_core::policies::{Bound, Digest};
use trimtab_sandbox::{
    Entry, Limits, Policy, Reason, Sandbox, SandboxConfig, SandboxedAnalyzer, Scaled, State, Table,
    builtin,
};

use super::super::catalogue::{Catalogue, Resolved, Use};
use super::super::resolve::{Defaults, Resolver};
use crate::binding::Role as _;
use crate::run::config::Config;

static SANDBOX: LazyLock<Sandbox> =
    LazyLock::new(|| Sandbox::new(SandboxConfig::default()).unwrap());

/// The shipped analyzer in another version: the same but for a section that nobody reads.
fn version(number: u8) -> Policy {
    let mut bytes = builtin("queueing-analyzer").unwrap().to_vec();
    bytes.extend([0, 2, 1, b'0' + number]);
    SANDBOX.load(&bytes).unwrap()
}

fn optimizer() -> Policy {
    SANDBOX.load(builtin("cost-optimizer").unwrap()).unwrap()
}

fn key(name: &str) -> Key {
    ("a".to_owned(), name.to_owned())
}

/// What a cluster and the registry have.
#[derive(Default)]
struct World {
    view: PolicyView,
    table: Table,
}

impl World {
    /// A PoolPolicy `a/pool`.
    fn bound(spec: serde_json::Value) -> Self {
        let mut world = Self::default();
        world.bind(spec);
        world
    }

    fn bind(&mut self, spec: serde_json::Value) {
        let spec = serde_json::from_value(spec).unwrap();
        let stored = Arc::new(Stored::of(1, Ok(spec)));
        self.view.pool_policies.insert(key("pool"), stored);
    }

    fn policy(mut self, of: &Key, settings: serde_json::Value) -> Self {
        let spec = json!({"source": {"builtin": "x"}, "settings": settings});
        let stored = Stored::of(1, Ok(serde_json::from_value(spec).unwrap()));
        self.view.policies.insert(of.clone(), Arc::new(stored));
        self
    }

    fn loaded(mut self, of: &Key, current: Option<Policy>, state: State) -> Self {
        let entry = Entry {
            current,
            last_good: None,
            state,
            resolved: None,
        };
        self.table.entries.insert(of.clone(), Arc::new(entry));
        self
    }
}

fn resolver() -> Resolver {
    let configured = Config::default().policies;
    let (defaults, _) = Defaults::load(&SANDBOX, &configured).unwrap();
    Resolver::new(defaults, "shared")
}

fn of_pool(catalogue: &Catalogue) -> &Resolved {
    &catalogue.pool_policies[&key("pool")]
}

fn analyzer(resolved: &Resolved) -> &Bound<SandboxedAnalyzer> {
    match &resolved.analyzers[0] {
        Use::Bound(bound) => bound,
        Use::Default(settings) => panic!("the configuration's, with {settings:?}"),
    }
}

fn digests(bound: &Bound<SandboxedAnalyzer>) -> Vec<Digest> {
    let rungs = bound.rungs.iter();
    rungs.map(|rung| rung.digest().clone()).collect()
}

fn shipped() -> Digest {
    let policy = SANDBOX.load(builtin("queueing-analyzer").unwrap()).unwrap();
    policy.digest().clone()
}

fn uses(name: &str) -> serde_json::Value {
    json!({"analyzers": [{"policyRef": {"name": name}, "settings": {"headroom": 0.3}}]})
}

#[test]
fn a_ladder_has_the_current_version_the_last_good_one_and_the_built_in() {
    let (old, new) = (version(1), version(2));
    let mut world = World::bound(uses("mine")).policy(
        &key("mine"),
        json!({"headroom": 0.1, "scale-down-window-seconds": 60}),
    );
    let entry = Entry {
        current: Some(new.clone()),
        last_good: Some(old.clone()),
        state: State::Ready,
        resolved: None,
    };
    world.table.entries.insert(key("mine"), Arc::new(entry));
    let catalogue = resolver().resolve(&world.view, &world.table);
    let resolved = of_pool(&catalogue);
    let bound = analyzer(resolved);
    assert_eq!(
        digests(bound),
        [new.digest().clone(), old.digest().clone(), shipped()]
    );
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&bound.settings).unwrap(),
        json!({"headroom": 0.3, "scale-down-window-seconds": 60})
    );
    assert!(bound.absent.is_none() && resolved.problems.is_empty());
}

#[test]
fn a_policy_that_is_not_there_is_stood_in_for_and_said() {
    let world = World::bound(uses("gone"));
    let catalogue = resolver().resolve(&world.view, &world.table);
    let resolved = of_pool(&catalogue);
    let bound = analyzer(resolved);
    assert_eq!(digests(bound), [shipped()]);
    assert_eq!(&*bound.settings, "{}");
    let why = "ScalingPolicy a/gone does not exist";
    assert_eq!(bound.absent.as_deref(), Some(why));
    assert_eq!(
        (
            resolved.problems[0].reason,
            resolved.problems[0].message.as_str()
        ),
        ("PolicyNotFound", why)
    );
}

#[test]
fn one_that_is_deleted_while_it_is_bound_stands_in_for_itself() {
    let mut resolver = resolver();
    let mine = version(1);
    let world = World::bound(uses("mine"))
        .policy(&key("mine"), json!({}))
        .loaded(&key("mine"), Some(mine.clone()), State::Ready);
    let _ = resolver.resolve(&world.view, &world.table);
    let gone = World::bound(uses("mine"));
    let catalogue = resolver.resolve(&gone.view, &gone.table);
    let bound = analyzer(of_pool(&catalogue));
    assert_eq!(digests(bound), [mine.digest().clone(), shipped()]);
    assert!(bound.absent.is_some() && bound.settings.contains("headroom"));
}

#[test]
fn while_another_policy_is_fetched_the_one_before_decides() {
    let mut resolver = resolver();
    let mine = version(1);
    let mut world = World::bound(uses("mine"))
        .policy(&key("mine"), json!({}))
        .loaded(&key("mine"), Some(mine.clone()), State::Ready);
    let _ = resolver.resolve(&world.view, &world.table);
    world.bind(uses("other"));
    let world = world
        .policy(&key("other"), json!({}))
        .loaded(&key("other"), None, State::Fetching);
    let catalogue = resolver.resolve(&world.view, &world.table);
    let resolved = of_pool(&catalogue);
    assert_eq!(digests(analyzer(resolved))[0], *mine.digest());
    assert!(analyzer(resolved).absent.is_none());
    assert_eq!(resolved.problems[0].reason, "Fetching");
    let other = version(2);
    let world = world.loaded(&key("other"), Some(other.clone()), State::Ready);
    let catalogue = resolver.resolve(&world.view, &world.table);
    assert_eq!(digests(analyzer(of_pool(&catalogue)))[0], *other.digest());
}

#[test]
fn settings_that_it_does_not_take_are_named_with_their_field() {
    let mut world = World::bound(json!({"analyzers": [
        {"policyRef": {"name": "mine"}, "settings": {"headroom": "lots"}}
    ]}))
    .policy(&key("mine"), json!({}))
    .loaded(&key("mine"), Some(version(1)), State::Ready);
    let catalogue = resolver().resolve(&world.view, &world.table);
    let problem = &of_pool(&catalogue).problems[0];
    assert_eq!(problem.reason, "SettingsInvalid");
    let place = "spec.analyzers[0].settings (ScalingPolicy a/mine).headroom: ";
    assert!(problem.message.starts_with(place), "{}", problem.message);
    assert!(analyzer(of_pool(&catalogue)).absent.is_some());
    world.bind(json!({"analyzers": [{"settings": {"headrom": 0.1}}]}));
    let catalogue = resolver().resolve(&world.view, &world.table);
    let problem = &of_pool(&catalogue).problems[0];
    let place = "spec.analyzers[0].settings.headrom: `headrom` is not known";
    assert!(problem.message.starts_with(place), "{}", problem.message);
}

#[test]
fn a_policys_own_settings_are_checked_too() {
    let world = World::default()
        .policy(&key("mine"), json!({"headroom": -1}))
        .loaded(&key("mine"), Some(version(1)), State::Ready);
    let catalogue = resolver().resolve(&world.view, &world.table);
    let unfit = catalogue.policies[&key("mine")].unfit.clone().unwrap();
    assert!(
        unfit.starts_with("ScalingPolicy a/mine: spec.settings: ")
            && unfit.contains("headroom: -1 is not between"),
        "{unfit}"
    );
}

#[test]
fn a_policy_of_another_kind_is_refused() {
    let world = World::bound(uses("mine"))
        .policy(&key("mine"), json!({}))
        .loaded(&key("mine"), Some(optimizer()), State::Ready);
    let catalogue = resolver().resolve(&world.view, &world.table);
    let problem = &of_pool(&catalogue).problems[0];
    assert_eq!(
        (problem.reason, problem.message.as_str()),
        (
            "WrongRole",
            "ScalingPolicy a/mine (`cost-optimizer`) is no analyzer"
        )
    );
}

#[test]
fn a_name_that_the_namespace_does_not_have_is_the_operators_own() {
    let shared = ("shared".to_owned(), "mine".to_owned());
    let ours = version(1);
    let world = World::bound(uses("mine"))
        .policy(&shared, json!({}))
        .loaded(&shared, Some(ours.clone()), State::Ready);
    let catalogue = resolver().resolve(&world.view, &world.table);
    assert_eq!(digests(analyzer(of_pool(&catalogue)))[0], *ours.digest());
    let own = version(2);
    let world =
        world
            .policy(&key("mine"), json!({}))
            .loaded(&key("mine"), Some(own.clone()), State::Ready);
    let catalogue = resolver().resolve(&world.view, &world.table);
    assert_eq!(digests(analyzer(of_pool(&catalogue)))[0], *own.digest());
}

#[test]
fn a_version_that_was_rolled_back_is_told_of_and_one_that_failed_names_its_reason() {
    let good = version(1);
    let state = State::Quarantined {
        digest: version(2).digest().clone(),
        message: "it faulted".to_owned(),
    };
    let world = World::bound(uses("mine"))
        .policy(&key("mine"), json!({}))
        .loaded(&key("mine"), Some(good.clone()), state);
    let catalogue = resolver().resolve(&world.view, &world.table);
    let resolved = of_pool(&catalogue);
    assert_eq!(digests(analyzer(resolved))[0], *good.digest());
    assert_eq!(resolved.rolled_back, ["ScalingPolicy a/mine: it faulted"]);
    let state = State::Failed {
        reason: Reason::DigestMismatch,
        message: "another".to_owned(),
    };
    let world = World::bound(uses("mine"))
        .policy(&key("mine"), json!({}))
        .loaded(&key("mine"), None, state);
    let catalogue = resolver().resolve(&world.view, &world.table);
    assert_eq!(of_pool(&catalogue).problems[0].reason, "DigestMismatch");
}

#[test]
fn a_candidate_without_its_policy_is_not_asked_and_the_pool_is_not_disturbed() {
    let spec = json!({
        "shadows": [{"name": "s", "optimizer": {"policyRef": {"name": "gone"}}}],
        "experiment": {"candidate": {"analyzers": [{"settings": {"headroom": 0.4}}]}, "seed": 3, "slot": "20m"},
    });
    let world = World::bound(spec);
    let catalogue = resolver().resolve(&world.view, &world.table);
    let resolved = of_pool(&catalogue);
    assert!(resolved.problems.is_empty() && resolved.analyzers.is_empty());
    assert_eq!(
        resolved.shadows[0].lacks.as_ref().unwrap().reason,
        "PolicyNotFound"
    );
    let (rules, candidate) = resolved.experiment.as_ref().unwrap();
    assert!(candidate.lacks.is_none());
    assert_eq!(
        (
            rules.seed,
            rules.slot_seconds,
            rules.washout_seconds,
            rules.max_slots
        ),
        (3, 1200.0, 600.0, 96)
    );
}

#[test]
fn the_built_in_policy_under_other_limits_has_itself_to_stand_in() {
    let shipped = SANDBOX.load(builtin("queueing-analyzer").unwrap()).unwrap();
    let limits = Limits {
        memory_bytes: Scaled::new(1 << 20, 0, 0),
        ..Limits::default()
    };
    let world = World::bound(uses("mine"))
        .policy(&key("mine"), json!({}))
        .loaded(
            &key("mine"),
            Some(shipped.with_limits(limits)),
            State::Ready,
        );
    let catalogue = resolver().resolve(&world.view, &world.table);
    let bound = analyzer(of_pool(&catalogue));
    let memory: Vec<u64> = bound
        .rungs
        .iter()
        .map(|rung| rung.limits().memory_bytes.base)
        .collect();
    assert_eq!(memory, [1 << 20, Limits::default().memory_bytes.base]);
}

#[test]
fn a_version_that_was_rolled_back_does_not_stand_in_for_itself() {
    let mut resolver = resolver();
    let bad = version(1);
    let world = World::bound(uses("mine"))
        .policy(&key("mine"), json!({}))
        .loaded(&key("mine"), Some(bad.clone()), State::Ready);
    let _ = resolver.resolve(&world.view, &world.table);
    let state = State::Quarantined {
        digest: bad.digest().clone(),
        message: "it faulted".to_owned(),
    };
    let world = world.loaded(&key("mine"), None, state);
    let catalogue = resolver.resolve(&world.view, &world.table);
    assert_eq!(digests(analyzer(of_pool(&catalogue))), [shipped()]);
}
