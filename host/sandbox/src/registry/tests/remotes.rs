//! Remote sources: asked with patience, and no more often than they may change. The clock is
//! tokio's own, and stands while a component is compiled.

use std::collections::BTreeMap;
use std::time::Duration;

use super::given::*;
use crate::{Reason, Registry, State, Wanted};

/// Lets so much time pass, and what happens in it. A thread that compiles does not stop the clock,
/// so its work must be over.
async fn pass(registry: &Registry, seconds: u64) {
    while registry.shared.compiling.available_permits() == 0 {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_remote_component_runs_and_shows_what_it_resolved_to() {
    let (registry, told) = told();
    let component = guest(1);
    told.to_give(&component, "sha256:manifest-1");
    want(&registry, &remote("registry.test/policy:1"));
    let entry = ready(&registry, &component).await;
    assert_eq!(entry.resolved.as_deref(), Some("sha256:manifest-1"));
    assert_eq!(told.known(), [None]);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_asked_again_after_1_s_and_then_twice_as_long() {
    let (registry, told) = told();
    told.to_fail(Reason::FetchFailed, "registry.test cannot be reached");
    want(&registry, &remote("registry.test/policy:1"));
    let message = failed(&registry, Reason::FetchFailed).await;
    assert_eq!(message, "registry.test cannot be reached");
    pass(&registry, 1_500).await;
    let waits = told.waits();
    assert_eq!(waits[..11], [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_is_down_for_an_hour_changes_nothing_but_the_state() {
    let (registry, told) = told();
    let component = guest(1);
    told.to_give(&component, "sha256:manifest-1");
    want(&registry, &remote("registry.test/policy:1"));
    ready(&registry, &component).await;
    told.to_fail(Reason::FetchFailed, "registry.test cannot be reached");
    failed(&registry, Reason::FetchFailed).await;
    let serial = registry.table().serial;
    pass(&registry, 3_600).await;
    assert_eq!(registry.table().serial, serial);
    let down = entry(&registry);
    assert_eq!(current(&down), Some(&digest(&component)));
    assert_eq!(down.resolved.as_deref(), Some("sha256:manifest-1"));
    told.to_repeat("sha256:manifest-1");
    ready(&registry, &component).await;
    assert_eq!(registry.compiled(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_patience_begins_anew_after_an_answer() {
    let (registry, told) = told();
    let component = guest(1);
    told.to_fail(Reason::Unauthorized, "a pull secret is missing");
    want(&registry, &remote("registry.test/policy:1"));
    failed(&registry, Reason::Unauthorized).await;
    pass(&registry, 20).await;
    told.to_give(&component, "sha256:manifest-1");
    ready(&registry, &component).await;
    told.to_fail(Reason::FetchFailed, "registry.test cannot be reached");
    failed(&registry, Reason::FetchFailed).await;
    pass(&registry, 5).await;
    assert_eq!(told.waits(), [1, 2, 4, 8, 16, 60, 1, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_asked_for_each_minute_and_downloaded_once() {
    let (registry, told) = told();
    let component = guest(1);
    told.to_give(&component, "sha256:manifest-1");
    want(&registry, &remote("registry.test/policy:1"));
    ready(&registry, &component).await;
    told.to_repeat("sha256:manifest-1");
    let serial = registry.table().serial;
    pass(&registry, 200).await;
    assert_eq!(told.waits(), [60, 60, 60]);
    let known = Some(digest(&component));
    assert_eq!(told.known(), [None, known.clone(), known.clone(), known]);
    assert_eq!(registry.table().serial, serial);
    assert_eq!(registry.compiled(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_moves_is_followed() {
    let (registry, told) = told();
    let (first, second) = (guest(1), guest(2));
    told.to_give(&first, "sha256:manifest-1");
    want(&registry, &remote("registry.test/policy:1"));
    ready(&registry, &first).await;
    told.to_give(&second, "sha256:manifest-2");
    let entry = ready(&registry, &second).await;
    assert_eq!(entry.resolved.as_deref(), Some("sha256:manifest-2"));
    // Signed anew, the manifest is another, and the component is not.
    told.to_repeat("sha256:manifest-3");
    let resolved = standing(&registry, |it| {
        it.resolved.as_deref() == Some("sha256:manifest-3")
    });
    assert_eq!(current(&*resolved.await), Some(&digest(&second)));
    assert_eq!(registry.compiled(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_moves_to_what_is_not_admitted_is_not_judged_twice() {
    let (registry, told) = told();
    let component = guest(1);
    told.to_give(&component, "sha256:manifest-1");
    want(&registry, &remote("registry.test/policy:1"));
    ready(&registry, &component).await;
    let importing = wat::parse_str(r#"(component (import "f" (func)))"#).unwrap();
    told.to_give(&importing, "sha256:manifest-2");
    failed(&registry, Reason::ForbiddenImport).await;
    told.to_fail(Reason::FetchFailed, "registry.test cannot be reached");
    failed(&registry, Reason::FetchFailed).await;
    told.to_give(&importing, "sha256:manifest-2");
    failed(&registry, Reason::ForbiddenImport).await;
    assert_eq!(told.known().last().unwrap(), &Some(digest(&importing)));
    assert_eq!(registry.compiled(), 2);
    assert_eq!(current(&entry(&registry)), Some(&digest(&component)));
}

#[tokio::test(start_paused = true)]
async fn a_reference_by_digest_is_never_asked_for_again() {
    let (registry, told) = told();
    let component = guest(1);
    told.to_give(&component, "sha256:manifest-1");
    want(&registry, &remote("registry.test/policy@sha256:manifest-1"));
    ready(&registry, &component).await;
    pass(&registry, 3_600).await;
    assert_eq!(told.times_asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reference_by_digest_is_asked_for_until_it_is_there() {
    let (registry, told) = told();
    let component = guest(1);
    told.to_fail(Reason::NotFound, "registry.test has no such manifest");
    want(&registry, &remote("registry.test/policy@sha256:manifest-1"));
    failed(&registry, Reason::NotFound).await;
    told.to_give(&component, "sha256:manifest-1");
    ready(&registry, &component).await;
    pass(&registry, 3_600).await;
    assert_eq!(told.times_asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_tag_is_not_asked_for_again_once_the_wanted_digest_is_there() {
    let (registry, told) = told();
    let (first, second) = (guest(1), guest(2));
    let wanted = Wanted {
        digest: Some(digest(&second)),
        ..remote("registry.test/policy:1")
    };
    told.to_give(&first, "sha256:manifest-1");
    want(&registry, &wanted);
    failed(&registry, Reason::DigestMismatch).await;
    assert!(entry(&registry).current.is_none());
    told.to_give(&second, "sha256:manifest-2");
    ready(&registry, &second).await;
    pass(&registry, 3_600).await;
    assert_eq!(told.waits(), [60]);
}

#[tokio::test(start_paused = true)]
async fn a_newer_wish_ends_a_fetch_that_does_not_answer() {
    let (registry, told) = told();
    let component = guest(1);
    want(&registry, &remote("registry.test/slow:1"));
    pass(&registry, 3_600).await;
    assert_eq!(entry(&registry).state, State::Fetching);
    want(&registry, &bytes(&component));
    ready(&registry, &component).await;
    // Its permit is free again.
    assert_eq!(registry.shared.fetching.available_permits(), 2);
    assert_eq!(told.times_asked(), 1);
}

/// Remote sources that do not answer hold up each other, and nobody else.
#[tokio::test(start_paused = true)]
async fn sources_that_do_not_answer_hold_up_nobody_else() {
    let (registry, told) = told();
    let component = guest(1);
    let slow = (0..10).map(|number| {
        let name = number.to_string();
        (key(&name), remote(&format!("registry.test/{name}:1")))
    });
    let mut wanted: BTreeMap<_, _> = slow.collect();
    registry.want(wanted.clone());
    pass(&registry, 3_600).await;
    assert_eq!(told.times_asked(), 2);
    wanted.insert(key("policy"), bytes(&component));
    registry.want(wanted);
    ready(&registry, &component).await;
}

#[tokio::test(start_paused = true)]
async fn an_edit_asks_at_once_where_the_last_answer_was_a_failure() {
    let (registry, told) = told();
    let component = guest(1);
    told.to_fail(Reason::Unauthorized, "a pull secret is missing");
    let wanted = remote("registry.test/policy:1");
    want(&registry, &wanted);
    pass(&registry, 1_000).await;
    let asked = told.times_asked();
    told.to_give(&component, "sha256:manifest-1");
    let edited = Wanted {
        generation: 2,
        ..wanted
    };
    let now = tokio::time::Instant::now();
    want(&registry, &edited);
    ready(&registry, &component).await;
    assert_eq!(
        (told.times_asked(), now.elapsed().as_secs()),
        (asked + 1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn the_same_wish_each_tick_leaves_a_fetch_alone() {
    let (registry, told) = told();
    told.to_fail(Reason::FetchFailed, "registry.test cannot be reached");
    for _ in 0..100 {
        want(&registry, &remote("registry.test/policy:1"));
        pass(&registry, 1).await;
    }
    assert_eq!(told.waits(), [1, 2, 4, 8, 16, 32]);
}

#[test]
fn credentials_are_not_shown() {
    let mut wanted = remote("registry.test/policy:1");
    if let crate::Source::Remote(remote) = &mut wanted.source {
        remote.credentials = vec![b"secret"[..].into()];
    }
    let shown = format!("{wanted:?}");
    assert!(shown.contains("registry.test/policy:1"), "{shown}");
    assert!(
        !shown.contains("secret") && !shown.contains("115"),
        "{shown}"
    );
}
