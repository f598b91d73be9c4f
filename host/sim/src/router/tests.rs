//! Where requests go, and when they wait.

use super::*;
use crate::events::Events;
use crate::spec::{Spec, VariantSpec};
use crate::testing::{arrival, pool, spec, variant};

fn fleet_of(spec: &Spec) -> (Fleet<'_>, Router<'_>) {
    let fleet = Fleet::new(spec, &mut Events::default());
    let mut router = Router::new(&spec.pools[0]);
    router.refresh(0, &fleet);
    (fleet, router)
}

fn of(variants: Vec<VariantSpec>, arrivals: Vec<Arrival>) -> Spec {
    spec(60.0, vec![pool(variants, arrivals)])
}

fn with_role(role: Role, initial_replicas: u32) -> VariantSpec {
    VariantSpec {
        role,
        ..variant(initial_replicas)
    }
}

/// Sends all arrivals at once and gives the replicas that they went to.
fn send_all<'a>(fleet: &mut Fleet<'a>, router: &Router<'a>, spec: &'a Spec) -> Vec<usize> {
    let mut taken = Vec::new();
    for (request, arrival) in spec.pools[0].arrivals.iter().enumerate() {
        let request = request as u32;
        let Choice::To(replica, part) = router.choose(0.0, request, fleet) else {
            break;
        };
        let job = Job {
            request,
            arrival,
            part,
        };
        fleet.replicas[replica].engine.enqueue(0.0, job);
        taken.push(replica);
    }
    taken
}

#[test]
fn equal_replicas_take_turns() {
    let spec = of(vec![variant(3)], vec![arrival(0.0, 1000, 10); 6]);
    let (mut fleet, router) = fleet_of(&spec);
    let mut taken = send_all(&mut fleet, &router, &spec);
    taken[..3].sort_unstable();
    taken[3..].sort_unstable();
    assert_eq!(taken, [0, 1, 2, 0, 1, 2]);
}

#[test]
fn the_faster_variant_takes_the_larger_share() {
    let mut slow = variant(1);
    slow.iteration.per_token_seconds *= 3.0;
    slow.iteration.per_kv_token_seconds *= 3.0;
    let spec = of(vec![slow, variant(1)], vec![arrival(0.0, 100, 10); 8]);
    let (mut fleet, router) = fleet_of(&spec);
    let taken = send_all(&mut fleet, &router, &spec);
    // About three quarters.
    let fast = taken.iter().filter(|replica| **replica == 1).count();
    assert!((5..=6).contains(&fast), "{taken:?}");
}

#[test]
fn requests_wait_while_all_replicas_are_saturated() {
    let spec = of(vec![variant(2)], vec![arrival(0.0, 9000, 10); 40]);
    let (mut fleet, router) = fleet_of(&spec);
    // One prompt under way and five that wait, on each.
    assert_eq!(send_all(&mut fleet, &router, &spec).len(), 12);
    assert_eq!(router.choose(0.0, 0, &fleet), Choice::Wait);
}

#[test]
fn a_full_kv_cache_saturates_too() {
    let mut small = variant(1);
    small.kv_capacity_tokens = 10_000;
    let spec = of(
        vec![small],
        vec![arrival(0.0, 8100, 10), arrival(0.0, 10, 10)],
    );
    let (mut fleet, router) = fleet_of(&spec);
    assert_eq!(send_all(&mut fleet, &router, &spec), [0]);
}

#[test]
fn nothing_is_rejected_while_nothing_serves() {
    let spec = of(vec![variant(0)], vec![arrival(0.0, 1_000_000, 10)]);
    let (fleet, router) = fleet_of(&spec);
    assert_eq!(router.choose(0.0, 0, &fleet), Choice::Wait);
}

#[test]
fn what_no_replica_could_hold_is_rejected() {
    let mut small = variant(1);
    small.engine.max_model_length = Some(4096);
    let spec = of(
        vec![small],
        vec![arrival(0.0, 4000, 96), arrival(0.0, 4000, 97)],
    );
    let (fleet, router) = fleet_of(&spec);
    assert_eq!(router.choose(0.0, 0, &fleet), Choice::To(0, Part::Whole));
    assert_eq!(router.choose(0.0, 1, &fleet), Choice::Reject);
}

#[test]
fn prompts_go_to_prefill_only_while_decode_is_open() {
    let request = arrival(0.0, 100, 10);
    let spec = of(
        vec![with_role(Role::Prefill, 1), with_role(Role::Decode, 1)],
        vec![request.clone()],
    );
    let (fleet, router) = fleet_of(&spec);
    assert_eq!(router.choose(0.0, 0, &fleet), Choice::To(0, Part::Prompt));
    assert_eq!(
        router.choose_decode(0.0, 0, &fleet),
        Choice::To(1, Part::Answer)
    );
    let spec = of(
        vec![with_role(Role::Prefill, 1), with_role(Role::Decode, 0)],
        vec![request.clone()],
    );
    let (fleet, router) = fleet_of(&spec);
    assert_eq!(router.choose(0.0, 0, &fleet), Choice::Wait);
    assert_eq!(router.choose_decode(0.0, 0, &fleet), Choice::Wait);
}

#[test]
fn a_replica_that_has_the_prefix_is_preferred() {
    let document = |at| Arrival {
        prefix_blocks: [1, 2, 3, 4].into(),
        ..arrival(at, 2048, 10)
    };
    let spec = of(
        vec![variant(2)],
        vec![document(0.0), arrival(0.0, 10, 10), document(1.0)],
    );
    let (mut fleet, router) = fleet_of(&spec);
    assert_eq!(send_all(&mut fleet, &router, &spec), [0, 1, 0]);
}

#[test]
fn the_queue_counts_requests_and_bytes() {
    let spec = of(
        vec![variant(0)],
        vec![arrival(0.0, 100, 10), arrival(1.0, 50, 10)],
    );
    let (_, mut router) = fleet_of(&spec);
    router.push(1);
    router.retry(&[0]);
    assert_eq!((router.queued_requests(), router.queued_bytes()), (2, 600));
    assert_eq!(router.front(), Some(0));
    router.pop();
    assert_eq!((router.queued_requests(), router.queued_bytes()), (1, 200));
}
