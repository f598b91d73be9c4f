//! What stands, and for how long.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::metrics::testing::{cycle, pool, variant};

fn desired() -> (Desired, Arc<AtomicU64>) {
    let now = Arc::new(AtomicU64::new(100_000));
    let clock = Arc::clone(&now);
    let desired = Desired::new(45_000, move || clock.load(Ordering::SeqCst));
    (desired, now)
}

fn at(steady_ms: u64) -> Published {
    Published {
        steady_ms,
        ..cycle(vec![pool("p", vec![variant("a", 2, 2, 5)])])
    }
}

fn count(word: &Word) -> Option<u32> {
    word.variants[&("prod".to_owned(), "a".to_owned())].desired
}

#[test]
fn a_word_stands_for_as_long_as_it_may_and_then_nothing_is_said() {
    let (desired, now) = desired();
    desired.lead(Some(u64::MAX));
    assert_eq!(desired.now(), Err(Unavailable::Undecided));
    desired.replace(&at(100_000));
    now.store(145_000, Ordering::SeqCst);
    assert_eq!(count(&desired.now().unwrap()), Some(5));
    now.store(146_000, Ordering::SeqCst);
    let stale = Unavailable::Stale {
        age_seconds: 46,
        longest_seconds: 45,
    };
    assert_eq!(desired.now(), Err(stale));
    desired.replace(&at(146_000));
    assert!(desired.now().is_ok());
}

#[test]
fn who_does_not_lead_says_nothing() {
    let (desired, now) = desired();
    desired.replace(&at(100_000));
    assert_eq!(desired.now(), Err(Unavailable::NotLeading));
    desired.lead(Some(110_000));
    desired.replace(&at(100_000));
    assert!(desired.now().is_ok());
    // It could not renew, and has not been told yet.
    now.store(110_000, Ordering::SeqCst);
    assert_eq!(desired.now(), Err(Unavailable::NotLeading));
}

#[test]
fn what_a_leader_said_in_an_earlier_reign_is_not_said_again() {
    let (desired, _) = desired();
    desired.lead(Some(u64::MAX));
    desired.replace(&at(100_000));
    desired.lead(Some(u64::MAX));
    assert!(desired.now().is_ok(), "it only renewed");
    desired.lead(None);
    desired.lead(Some(u64::MAX));
    assert_eq!(desired.now(), Err(Unavailable::Undecided));
}

#[test]
fn whoever_waits_hears_of_each_word_and_of_its_end() {
    let (desired, _) = desired();
    let mut heard = desired.watch();
    let mut hears = || {
        let changed = heard.has_changed().unwrap();
        heard.mark_unchanged();
        changed
    };
    desired.lead(Some(u64::MAX));
    assert!(hears());
    desired.lead(Some(u64::MAX));
    assert!(!hears());
    desired.replace(&at(100_000));
    assert!(hears());
    desired.lead(None);
    assert!(hears());
}

#[test]
fn a_count_that_is_kept_is_none() {
    let (desired, _) = desired();
    desired.lead(Some(u64::MAX));
    let mut kept = variant("a", 2, 2, 5);
    kept.published = false;
    desired.replace(&Published {
        decisions: vec![pool("p", vec![kept])],
        ..at(100_000)
    });
    assert_eq!(count(&desired.now().unwrap()), None);
}

#[test]
fn what_is_started_between_two_cycles_is_asked_for_at_once() {
    let (desired, _) = desired();
    desired.raise("prod", "a", 1);
    desired.lead(Some(u64::MAX));
    desired.replace(&Published {
        decisions: vec![pool("p", vec![variant("a", 0, 0, 0)])],
        ..at(100_000)
    });
    let before = desired.now().unwrap();
    desired.raise("prod", "a", 1);
    desired.raise("prod", "b", 1);
    assert_eq!(count(&desired.now().unwrap()), Some(1));
    assert_eq!(count(&before), Some(0), "who has read it keeps it");
    desired.replace(&at(100_000));
    desired.raise("prod", "a", 1);
    assert_eq!(count(&desired.now().unwrap()), Some(5));
}
