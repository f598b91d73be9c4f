//! Who takes the Lease when.

use super::*;

const SECOND: u64 = 1000;

fn candidacy() -> Candidacy {
    Candidacy::new(LeaseConfig {
        namespace: "n".to_owned(),
        name: "trimtab".to_owned(),
        identity: "me".to_owned(),
        duration_ms: 15 * SECOND,
        renew_deadline_ms: 10 * SECOND,
    })
}

fn held_by(holder: &str, renewed_ms: u64) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(holder.to_owned()),
        lease_duration_seconds: Some(15),
        renew_time: Some(micro(renewed_ms)),
        lease_transitions: Some(4),
        ..LeaseSpec::default()
    }
}

fn acts(me: &mut Candidacy, spec: &LeaseSpec, now_ms: u64) -> Act {
    me.see(spec, now_ms);
    me.act(spec, now_ms)
}

#[test]
fn another_holder_is_waited_for_by_ones_own_clock() {
    let mut me = candidacy();
    // The holder's clock is years behind: only that it stands still counts.
    let lease = held_by("other", 1);
    let start = 1_000_000 * SECOND;
    assert_eq!(acts(&mut me, &lease, start), Act::Wait);
    assert_eq!(acts(&mut me, &lease, start + 15 * SECOND - 1), Act::Wait);
    assert_eq!(acts(&mut me, &lease, start + 15 * SECOND), Act::TakeOver);
}

#[test]
fn a_renewal_starts_the_wait_anew() {
    let mut me = candidacy();
    assert_eq!(acts(&mut me, &held_by("other", 1), 0), Act::Wait);
    assert_eq!(acts(&mut me, &held_by("other", 2), 14 * SECOND), Act::Wait);
    assert_eq!(acts(&mut me, &held_by("other", 2), 28 * SECOND), Act::Wait);
    assert_eq!(
        acts(&mut me, &held_by("other", 2), 29 * SECOND),
        Act::TakeOver
    );
}

#[test]
fn a_lease_that_was_released_is_taken_at_once() {
    assert_eq!(acts(&mut candidacy(), &held_by("", 1), 0), Act::TakeOver);
}

#[test]
fn a_leader_that_cannot_renew_stops_before_others_start() {
    let mut me = candidacy();
    me.hold(&held_by("me", 0), 0);
    let leader = Standing::Leader {
        transitions: 4,
        until_ms: 10 * SECOND,
    };
    assert_eq!(me.standing(10 * SECOND - 1), leader);
    assert_eq!(
        me.standing(10 * SECOND),
        Standing::Follower { leader: None }
    );
}

#[test]
fn a_restart_under_the_old_name_is_a_reign_of_its_own() {
    let mut me = candidacy();
    assert_eq!(acts(&mut me, &held_by("me", 1), 0), Act::TakeOver);
    me.hold(&held_by("me", 1), 0);
    assert_eq!(acts(&mut me, &held_by("me", 1), SECOND), Act::Renew);
}
