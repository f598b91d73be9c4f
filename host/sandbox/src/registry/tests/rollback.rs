//! The last good version, and the way back to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use trimtab_core::policies::Version;

use super::given::*;
use crate::{Entry, Limits, Reason, Registry, Source, State, Wanted};

/// A version under the usual limits, of nobody in particular.
fn these(component: &[u8]) -> BTreeSet<Version> {
    let version = Version {
        digest: digest(component),
        terms: Limits::default().terms(),
    };
    BTreeSet::from([version])
}

/// Runs these one after another; of each, whether it gives an accepted decision.
async fn run(registry: &Registry, versions: &[(&Arc<[u8]>, bool)]) -> Arc<Entry> {
    for (component, is_good) in versions {
        want(registry, &bytes(component));
        ready(registry, component).await;
        if *is_good {
            registry.good(&these(component));
        }
    }
    entry(registry)
}

#[tokio::test]
async fn what_gave_an_accepted_decision_is_the_last_good_version() {
    let registry = registry();
    let (first, second) = (guest(1), guest(2));
    let entry = run(&registry, &[(&first, true), (&second, false)]).await;
    assert_eq!(last_good(&entry), Some(&digest(&first)));
    assert_eq!(version(entry.last_good.as_ref().unwrap()), Ok(1));
}

#[tokio::test]
async fn what_only_loaded_does_not_become_the_last_good_version() {
    let registry = registry();
    let (first, second, third) = (guest(1), guest(2), guest(3));
    let versions = [(&first, true), (&second, false), (&third, false)];
    let entry = run(&registry, &versions).await;
    assert_eq!(current(&entry), Some(&digest(&third)));
    assert_eq!(last_good(&entry), Some(&digest(&first)));
}

#[tokio::test]
async fn the_last_good_version_is_never_the_current_one() {
    let registry = registry();
    let (first, second) = (guest(1), guest(2));
    let versions = [(&first, true), (&second, false), (&first, false)];
    let entry = run(&registry, &versions).await;
    assert_eq!(current(&entry), Some(&digest(&first)));
    assert_eq!(last_good(&entry), None);
    // It was good before, and still is.
    let entry = run(&registry, &[(&second, false)]).await;
    assert_eq!(last_good(&entry), Some(&digest(&first)));
    assert_eq!(registry.compiled(), 3);
}

#[track_caller]
fn is_quarantined(entry: &Entry, component: &[u8]) -> String {
    let State::Quarantined {
        digest: held,
        message,
    } = &entry.state
    else {
        panic!("{:?}", entry.state)
    };
    assert_eq!(held, &digest(component));
    assert_eq!(entry.state.reason(), Some(Reason::Quarantined));
    message.clone()
}

#[tokio::test]
async fn a_quarantine_brings_the_last_good_version_back_at_once() {
    let registry = registry();
    let (first, second) = (guest(1), guest(2));
    run(&registry, &[(&first, true), (&second, false)]).await;
    registry.quarantine(&these(&second));
    let entry = entry(&registry);
    let message = is_quarantined(&entry, &second);
    assert!(message.contains(&digest(&first).0), "{message}");
    assert_eq!(version(entry.current.as_ref().unwrap()), Ok(1));
    assert_eq!(last_good(&entry), None);
    assert_eq!(registry.compiled(), 2);
}

#[tokio::test]
async fn what_was_good_only_before_it_faulted_does_not_stay() {
    let registry = registry();
    let (first, second) = (guest(1), guest(2));
    run(&registry, &[(&first, true), (&second, true)]).await;
    registry.quarantine(&these(&second));
    assert_eq!(current(&entry(&registry)), Some(&digest(&first)));
}

#[tokio::test]
async fn a_quarantine_of_the_first_version_leaves_none() {
    let registry = registry();
    let first = guest(1);
    run(&registry, &[(&first, false)]).await;
    registry.quarantine(&these(&first));
    let entry = entry(&registry);
    is_quarantined(&entry, &first);
    assert!(entry.current.is_none() && entry.last_good.is_none());
}

#[tokio::test]
async fn a_quarantine_of_what_does_not_run_changes_nothing() {
    let registry = registry();
    let (first, second) = (guest(1), guest(2));
    run(&registry, &[(&first, true), (&second, false)]).await;
    let serial = registry.table().serial;
    registry.quarantine(&these(&first));
    registry.quarantine(&these(b"something else"));
    assert_eq!(registry.table().serial, serial);
}

#[tokio::test]
async fn a_quarantine_holds_while_the_source_gives_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.wasm");
    let registry = in_directory(directory.path());
    let (first, second, third) = (guest(1), guest(2), guest(3));
    want(&registry, &file("a.wasm"));
    std::fs::write(&path, &first).unwrap();
    ready(&registry, &first).await;
    registry.good(&these(&first));
    std::fs::write(&path, &second).unwrap();
    ready(&registry, &second).await;
    registry.quarantine(&these(&second));
    // Gone and back, it is the same.
    std::fs::remove_file(&path).unwrap();
    failed(&registry, Reason::NotFound).await;
    std::fs::write(&path, &second).unwrap();
    let entry = standing(&registry, |it| it.state.reason() != Some(Reason::NotFound)).await;
    is_quarantined(&entry, &second);
    assert_eq!(current(&entry), Some(&digest(&first)));
    std::fs::write(&path, &third).unwrap();
    let entry = ready(&registry, &third).await;
    assert_eq!(last_good(&entry), Some(&digest(&first)));
    assert_eq!(registry.compiled(), 3);
}

#[tokio::test]
async fn a_quarantine_outlasts_the_absence_of_its_source() {
    let registry = registry();
    let (first, second) = (guest(1), guest(2));
    run(&registry, &[(&first, true), (&second, false)]).await;
    registry.quarantine(&these(&second));
    let why = "ConfigMap `p` is not there".to_owned();
    want(&registry, &from(Source::Missing { why }));
    failed(&registry, Reason::NotFound).await;
    want(&registry, &bytes(&second));
    let entry = standing(&registry, |it| it.state != State::Fetching).await;
    is_quarantined(&entry, &second);
}

#[tokio::test]
async fn a_quarantine_ends_with_another_digest_from_the_source() {
    let registry = registry();
    let (first, second) = (guest(1), guest(2));
    run(&registry, &[(&first, true), (&second, false)]).await;
    registry.quarantine(&these(&second));
    run(&registry, &[(&first, true), (&second, false)]).await;
}

#[tokio::test]
async fn a_quarantine_ends_with_an_edit() {
    let registry = registry();
    let (first, second) = (guest(1), guest(2));
    run(&registry, &[(&first, true), (&second, false)]).await;
    registry.quarantine(&these(&second));
    want(&registry, &bytes(&second));
    is_quarantined(&entry(&registry), &second);
    let edited = Wanted {
        generation: 2,
        ..bytes(&second)
    };
    want(&registry, &edited);
    let entry = ready(&registry, &second).await;
    assert_eq!(last_good(&entry), Some(&digest(&first)));
}

#[tokio::test]
async fn new_limits_hold_for_the_last_good_version_too() {
    let registry = registry();
    let (first, second) = (guest(1), guest(2));
    run(&registry, &[(&first, true), (&second, false)]).await;
    let mut starved = bytes(&second);
    starved.limits.fuel = crate::Scaled::new(1, 0, 0);
    want(&registry, &starved);
    let entry = entry(&registry);
    assert!(version(entry.last_good.as_ref().unwrap()).is_err());
}

#[tokio::test]
async fn what_faulted_under_other_terms_is_left_alone() {
    let registry = registry();
    let (first, second) = (guest(1), guest(2));
    run(&registry, &[(&first, true), (&second, false)]).await;
    let elsewhere = these(&second).into_iter().map(|version| Version {
        terms: version.terms ^ 1,
        ..version
    });
    registry.quarantine(&elsewhere.collect());
    assert_eq!(current(&entry(&registry)), Some(&digest(&second)));
    assert_eq!(entry(&registry).state, State::Ready);
}

#[tokio::test]
async fn whoever_takes_over_learns_which_version_was_good_before_the_current_one() {
    let registry = registry();
    let (first, second) = (guest(1), guest(2));
    // While another leads, nobody says what is good.
    run(&registry, &[(&first, false), (&second, false)]).await;
    registry.good(&these(&first));
    registry.quarantine(&these(&second));
    assert_eq!(current(&entry(&registry)), Some(&digest(&first)));
}
