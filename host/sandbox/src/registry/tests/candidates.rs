//! Candidates: what is admitted takes the place of what ran, what is not leaves it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::oneshot;
use trimtab_core::policies::{CallError, FaultKind};

use super::given::*;
use crate::registry::candidate::Outcome;
use crate::registry::keep::Job;
use crate::{Limits, Reason, Registry, RegistryConfig, Scaled, Source, State, Wanted, builtin};

#[tokio::test]
async fn a_shipped_policy_is_found_by_name() {
    let registry = registry();
    want(&registry, &from(Source::Builtin("cost-optimizer".into())));
    assert_eq!(entry(&registry).state, State::Fetching);
    let component = builtin("cost-optimizer").unwrap();
    let entry = ready(&registry, component).await;
    assert!(entry.current.as_ref().unwrap().optimizer().is_some());
    assert_eq!(entry.state.reason(), None);
}

#[tokio::test]
async fn a_name_that_is_not_shipped_is_told_with_those_that_are() {
    let registry = registry();
    want(&registry, &from(Source::Builtin("cost-optimiser".into())));
    let message = failed(&registry, Reason::NotFound).await;
    assert!(message.contains("`cost-optimiser`"), "{message}");
    assert!(message.contains("cost-optimizer"), "{message}");
    assert!(entry(&registry).current.is_none());
}

#[tokio::test]
async fn another_component_takes_the_place_of_the_one_that_ran() {
    let registry = registry();
    for number in [1, 2] {
        let component = guest(number);
        want(&registry, &bytes(&component));
        let entry = ready(&registry, &component).await;
        assert_eq!(version(entry.current.as_ref().unwrap()), Ok(number));
        assert!(entry.last_good.is_none());
    }
}

#[tokio::test]
async fn asking_again_for_what_is_there_changes_nothing() {
    let registry = registry();
    let component = guest(1);
    want(&registry, &bytes(&component));
    ready(&registry, &component).await;
    let (serial, compiled) = (registry.table().serial, registry.compiled());
    want(&registry, &bytes(&component));
    want(&registry, &bytes(&component.to_vec().into()));
    assert_eq!(registry.table().serial, serial);
    let edited = Wanted {
        generation: 2,
        ..bytes(&component)
    };
    want(&registry, &edited);
    assert_eq!(registry.table().serial, serial);
    assert_eq!(registry.compiled(), compiled);
}

#[tokio::test]
async fn another_source_of_the_same_component_compiles_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let component = guest(1);
    std::fs::write(directory.path().join("a.wasm"), &component).unwrap();
    let registry = in_directory(directory.path());
    want(&registry, &bytes(&component));
    ready(&registry, &component).await;
    want(&registry, &file("a.wasm"));
    let entry = entry(&registry);
    assert_eq!(entry.state, State::Fetching);
    assert_eq!(current(&entry), Some(&digest(&component)));
    ready(&registry, &component).await;
    assert_eq!(registry.compiled(), 1);
}

/// Each with its reason and a part of its message.
fn inadmissible() -> Vec<(Wanted, Reason, &'static str)> {
    let text = |text: &str| bytes(&wat::parse_str(text).unwrap().into());
    let good = guest(7);
    let pinned = Wanted {
        digest: Some(digest(b"something else")),
        ..bytes(&good)
    };
    vec![
        (text("(module)"), Reason::NotAComponent, "core module"),
        (
            bytes(&good[..good.len() / 2].to_vec().into()),
            Reason::NotAComponent,
            "not a valid component",
        ),
        (
            text(r#"(component (import "read-clock" (func)))"#),
            Reason::ForbiddenImport,
            "read-clock",
        ),
        (text("(component)"), Reason::WrongContract, "analyzer@0.1.0"),
        (
            bytes(&guest_that(8, "unreachable")),
            Reason::DescribeFailed,
            "describe",
        ),
        (pinned, Reason::DigestMismatch, "wanted is sha256:"),
        (
            bytes(&vec![0; 40_001].into()),
            Reason::TooLarge,
            "40001 bytes, more than the 40000",
        ),
        (
            from(Source::Missing {
                why: "ConfigMap `p` is not there".into(),
            }),
            Reason::NotFound,
            "ConfigMap `p`",
        ),
        (
            from(Source::File("a.wasm".into())),
            Reason::NotFound,
            "no policy directory",
        ),
    ]
}

fn small() -> Arc<Registry> {
    let config = RegistryConfig {
        max_component_bytes: 40_000,
        ..config()
    };
    Registry::start(Arc::clone(&SANDBOX), config)
}

#[tokio::test]
async fn what_is_not_admitted_never_replaces_what_runs() {
    let registry = small();
    let component = guest(1);
    assert!(component.len() < 40_000);
    for (wanted, reason, part) in inadmissible() {
        want(&registry, &bytes(&component));
        ready(&registry, &component).await;
        want(&registry, &wanted);
        let message = failed(&registry, reason).await;
        assert!(message.contains(part), "{reason}: {message}");
        let running = entry(&registry).current.clone().unwrap();
        assert_eq!(version(&running), Ok(1), "{reason}");
    }
}

#[tokio::test]
async fn nothing_runs_where_the_first_is_not_admitted() {
    for (wanted, reason, part) in inadmissible() {
        let registry = small();
        want(&registry, &wanted);
        let message = failed(&registry, reason).await;
        assert!(message.contains(part), "{reason}: {message}");
        assert!(entry(&registry).current.is_none());
    }
}

#[tokio::test]
async fn the_digest_that_is_wanted_is_admitted() {
    let registry = registry();
    let component = guest(1);
    let wanted = Wanted {
        digest: Some(digest(&component)),
        ..bytes(&component)
    };
    want(&registry, &wanted);
    ready(&registry, &component).await;
}

#[tokio::test]
async fn an_edit_tries_again_what_failed() {
    let registry = registry();
    let component = guest(1);
    let mut wanted = Wanted {
        digest: Some(digest(b"something else")),
        ..bytes(&component)
    };
    want(&registry, &wanted);
    failed(&registry, Reason::DigestMismatch).await;
    wanted.digest = None;
    want(&registry, &wanted);
    ready(&registry, &component).await;
}

#[tokio::test]
async fn new_limits_hold_at_once_and_compile_nothing() {
    let registry = registry();
    let component = guest(1);
    want(&registry, &bytes(&component));
    ready(&registry, &component).await;
    let starved = Wanted {
        limits: Limits {
            fuel: Scaled::new(1, 0, 0),
            ..Limits::default()
        },
        ..bytes(&component)
    };
    want(&registry, &starved);
    let policy = entry(&registry).current.clone().unwrap();
    let Err(CallError::Fault(fault)) = version(&policy) else {
        panic!("a call without fuel has no answer")
    };
    assert_eq!(fault.kind, FaultKind::OutOfFuel);
    want(&registry, &bytes(&component));
    assert_eq!(version(entry(&registry).current.as_ref().unwrap()), Ok(1));
    assert_eq!(registry.compiled(), 1);
}

#[tokio::test]
async fn each_policy_has_its_own_limits_where_they_share_a_component() {
    let registry = registry();
    let component = guest(1);
    let starved = Limits {
        fuel: Scaled::new(1, 0, 0),
        ..Limits::default()
    };
    let mut wanted = BTreeMap::from([(key("fed"), bytes(&component))]);
    wanted.insert(
        key("starved"),
        Wanted {
            limits: starved,
            ..bytes(&component)
        },
    );
    registry.want(wanted);
    let table = table(&registry, |table| {
        table.entries.values().all(|it| it.state == State::Ready)
    });
    let table = table.await;
    let call = |name| version(table.entries[&key(name)].current.as_ref().unwrap());
    assert_eq!(call("fed"), Ok(1));
    assert!(call("starved").is_err());
}

#[tokio::test]
async fn a_component_is_compiled_once_for_however_many_policies() {
    let config = RegistryConfig {
        compilations: 4,
        ..config()
    };
    let registry = Registry::start(Arc::clone(&SANDBOX), config);
    let component = guest(1);
    want(&registry, &bytes(&component));
    ready(&registry, &component).await;
    let names = (0..50).map(|number| key(&number.to_string()));
    registry.want(
        names
            .chain([key("policy")])
            .map(|key| (key, bytes(&component)))
            .collect(),
    );
    let table = table(&registry, |table| {
        table.entries.values().all(|it| it.state == State::Ready)
    });
    assert_eq!(table.await.entries.len(), 51);
    assert_eq!(registry.compiled(), 1);
}

#[tokio::test]
async fn what_is_wanted_no_longer_is_gone_at_once() {
    let registry = registry();
    let component = guest(1);
    want(&registry, &bytes(&component));
    ready(&registry, &component).await;
    registry.want(BTreeMap::new());
    assert!(registry.table().entries.is_empty());
    // It comes back as if it had never been.
    want(&registry, &bytes(&component));
    assert!(entry(&registry).current.is_none());
    ready(&registry, &component).await;
    assert_eq!(registry.compiled(), 2);
}

/// Work on `policy` by hand, as it is wanted now.
fn job(registry: &Registry) -> Job {
    let shared = Arc::clone(&registry.shared);
    let turn = (1..100).find(|turn| shared.book.read(&key("policy"), *turn, |_| ()).is_some());
    Job {
        shared,
        key: key("policy"),
        turn: turn.expect("it is wanted"),
    }
}

#[tokio::test]
async fn what_comes_of_a_candidate_that_was_superseded_is_dropped() {
    let registry = registry();
    let (old, new) = (guest(1), guest(2));
    want(&registry, &remote("registry.test/slow:1"));
    let (begun, has_begun) = oneshot::channel();
    let (finish, is_to_finish) = std::sync::mpsc::channel();
    let job = job(&registry);
    let judging = tokio::spawn(async move {
        let slow = move |_: &Job| {
            let _ = begun.send(());
            is_to_finish.recv().unwrap();
            Ok(old)
        };
        job.judge(None, slow).await
    });
    has_begun.await.unwrap();
    want(&registry, &bytes(&new));
    finish.send(()).unwrap();
    judging.await.unwrap();
    ready(&registry, &new).await;
    assert_eq!(registry.compiled(), 1);
}

#[tokio::test]
async fn work_that_was_superseded_changes_nothing_any_more() {
    let registry = registry();
    let component = guest(1);
    want(&registry, &remote("registry.test/slow:1"));
    let old = job(&registry);
    want(&registry, &bytes(&component));
    ready(&registry, &component).await;
    old.change(|slot| slot.fail(Reason::FetchFailed, "too late"));
    assert_eq!(entry(&registry).state, State::Ready);
    registry.want(BTreeMap::new());
    old.change(|slot| slot.fail(Reason::FetchFailed, "too late"));
    assert!(registry.table().entries.is_empty());
}

#[tokio::test]
async fn no_more_candidates_than_permits_are_in_memory() {
    let config = RegistryConfig {
        compilations: 2,
        ..config()
    };
    let registry = Registry::start(Arc::clone(&SANDBOX), config);
    want(&registry, &remote("registry.test/slow:1"));
    let (held, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let judging = (0..20).map(|number| {
        let (job, held, most) = (job(&registry), Arc::clone(&held), Arc::clone(&most));
        async move {
            let bytes = move |_: &Job| {
                most.fetch_max(held.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                Ok(Counted(guest(number), held))
            };
            job.judge(None, bytes).await
        }
    });
    let outcomes = futures::future::join_all(judging).await;
    assert_eq!(outcomes, [Outcome::Settled; 20]);
    assert!((1..=2).contains(&most.load(Ordering::SeqCst)));
    assert_eq!(held.load(Ordering::SeqCst), 0);
}

/// Bytes of which is known whether they are in memory.
struct Counted(Arc<[u8]>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn compiling_takes_second_place_to_ticks() {
    let registry = registry();
    want(&registry, &remote("registry.test/slow:1"));
    let (say, said) = oneshot::channel();
    let asks = move |_: &Job| {
        let _ = say.send(std::fs::read_to_string("/proc/thread-self/stat").unwrap());
        Ok(guest(1))
    };
    job(&registry).judge(None, asks).await;
    // The name may hold anything; the niceness is the 17th after it.
    let stat = said.await.unwrap();
    let fields = stat.rsplit_once(") ").unwrap().1;
    assert_eq!(fields.split(' ').nth(16), Some("5"), "{stat}");
}

#[tokio::test]
async fn a_compiler_that_panics_fails_the_candidate_alone() {
    let registry = registry();
    want(&registry, &remote("registry.test/slow:1"));
    let panics = |_: &Job| -> Result<Vec<u8>, Outcome> { panic!("as a compiler might") };
    job(&registry).judge(None, panics).await;
    failed(&registry, Reason::NotAComponent).await;
    let component = guest(1);
    want(&registry, &bytes(&component));
    ready(&registry, &component).await;
}

#[tokio::test]
async fn work_ends_with_the_registry() {
    let directory = tempfile::tempdir().unwrap();
    let registry = in_directory(directory.path());
    registry.want(BTreeMap::from([
        (key("file"), file("a.wasm")),
        (key("remote"), remote("registry.test/slow:1")),
    ]));
    let shared = Arc::downgrade(&registry.shared);
    drop(registry);
    while shared.strong_count() > 0 {
        tokio::task::yield_now().await;
    }
}
