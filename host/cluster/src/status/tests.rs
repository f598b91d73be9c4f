//! What is written when, and what is not.

use serde_json::json;

use trimtab_core::decision::Condition;

use super::*;
use crate::actuation::tests::{decided, decision_of};

fn claimant(name: &str) -> Claimant {
    Claimant {
        way: Way::VariantAutoscaling,
        namespace: "n".to_owned(),
        name: name.to_owned(),
    }
}

fn wanted(name: &str, desired: u32) -> Wanted {
    Wanted {
        claimant: claimant(name),
        recorded: None,
        decided: Some(Decided {
            desired,
            current: 1,
            accelerator: "H100".to_owned(),
            published: true,
        }),
        reason: "floor 9 requests/s needs 3".to_owned(),
        conditions: vec![metrics_available(&MetricsState::Found)],
    }
}

/// As it is read back after `document` was applied.
fn recorded(wanted: &Wanted, now_ms: u64, plain: bool) -> VariantStatus {
    serde_json::from_value(document(wanted, now_ms, plain)["status"].clone()).unwrap()
}

fn queue(per_second: f64) -> Queue {
    Queue {
        per_second,
        tokens: per_second * BURST_SECONDS,
        refilled_ms: None,
        recent: BTreeMap::new(),
        plain: false,
    }
}

fn due(queue: &mut Queue, wanted: &[Wanted], now_ms: u64) -> (usize, usize) {
    let (due, deferred) = queue.due(wanted.to_vec(), now_ms);
    (due.len(), deferred)
}

#[test]
fn what_the_object_says_already_is_not_written() {
    let mut steady = wanted("a", 3);
    assert_eq!(due(&mut queue(1.0), &[steady.clone()], 0), (1, 0));
    for plain in [false, true] {
        let mut queue = queue(1.0);
        queue.plain = plain;
        steady.recorded = Some(recorded(&steady, 0, plain));
        // Figures in messages change all the time.
        steady.reason = "floor 9.1 requests/s needs 12".to_owned();
        assert_eq!(due(&mut queue, &[steady.clone()], 600_000), (0, 0));
    }
}

#[test]
fn other_words_are_written_once_a_minute() {
    let change: [&dyn Fn(&mut Wanted); 2] = [
        &|new| new.reason = "has its max-replicas 8".to_owned(),
        &|new| new.conditions[0].message = "other words".to_owned(),
    ];
    for change in change {
        let mut new = wanted("a", 3);
        new.recorded = Some(recorded(&new, 1000, false));
        change(&mut new);
        let minute = 1000 + REWORDED_AFTER_MS;
        assert_eq!(due(&mut queue(1.0), &[new.clone()], minute - 1), (0, 0));
        assert_eq!(due(&mut queue(1.0), &[new.clone()], minute), (1, 0));
    }
}

#[test]
fn what_is_wrong_with_a_target_is_written_when_it_changes() {
    let with = |message: &str| {
        let mut wanted = wanted("a", 3);
        wanted.conditions = vec![Shown {
            kind: TARGET_RESOLVED,
            holds: true,
            reason: "TargetFound",
            message: message.to_owned(),
        }];
        wanted
    };
    let mut queue = queue(1.0);
    let mut new = with("Deployment n/d is scaled; its pods are of several InferencePools");
    new.recorded = Some(recorded(&with("Deployment n/d is scaled"), 0, false));
    assert_eq!(due(&mut queue, std::slice::from_ref(&new), 0), (1, 0));
    queue.recent.insert(claimant("a"), (new.clone(), 0));
    assert_eq!(due(&mut queue, std::slice::from_ref(&new), 1000), (0, 0));
    new.conditions = with("Deployment n/d is scaled; something else").conditions;
    assert_eq!(due(&mut queue, &[new], 1000), (1, 0));
}

#[test]
fn each_part_that_is_new_is_written() {
    let before = wanted("a", 3);
    let changes: [&dyn Fn(&mut Wanted); 5] = [
        &|new| new.decided.as_mut().unwrap().desired = 4,
        &|new| new.decided.as_mut().unwrap().current = 2,
        &|new| new.decided.as_mut().unwrap().accelerator = "L4".to_owned(),
        &|new| new.decided.as_mut().unwrap().published = false,
        &|new| {
            new.conditions = vec![metrics_available(&MetricsState::Stale {
                age_seconds: 90.0,
            })]
        },
    ];
    for change in changes {
        let mut new = before.clone();
        new.recorded = Some(recorded(&before, 0, false));
        change(&mut new);
        assert_eq!(due(&mut queue(1.0), &[new.clone()], 0), (1, 0), "{new:?}");
    }
}

#[test]
fn a_write_whose_echo_is_on_its_way_is_not_repeated_but_lost_ones_are() {
    let mut queue = queue(1.0);
    let new = wanted("a", 3);
    queue.recent.insert(claimant("a"), (new.clone(), 1000));
    assert_eq!(due(&mut queue, std::slice::from_ref(&new), 15_000), (0, 0));
    assert_eq!(due(&mut queue, &[wanted("a", 4)], 15_000), (1, 0));
    assert_eq!(due(&mut queue, &[new], 1000 + REPEATED_AFTER_MS), (1, 0));
}

#[test]
fn what_another_writes_over_is_written_again_at_once() {
    let mut queue = queue(1.0);
    let mut new = wanted("a", 3);
    queue
        .recent
        .insert(new.claimant.clone(), (new.clone(), 1000));
    new.recorded = Some(recorded(&wanted("a", 1), 2000, false));
    assert_eq!(due(&mut queue, &[new], 15_000), (1, 0));
}

#[test]
fn the_rate_is_bounded_and_changed_counts_go_first() {
    let mut queue = queue(1.0);
    let mut all: Vec<Wanted> = (0..25).map(|n| wanted(&format!("v{n:02}"), 3)).collect();
    for settled in all.iter_mut().take(20) {
        let mut status = recorded(settled, 0, false);
        status.conditions.clear();
        settled.recorded = Some(status);
    }
    let (first, deferred) = queue.due(all.clone(), 0);
    assert_eq!((first.len(), deferred), (10, 15));
    assert!(first[..5].iter().all(Wanted::changes_count), "{first:?}");
    assert_eq!(due(&mut queue, &all, 3000), (3, 22), "three seconds later");
}

#[test]
fn only_variant_autoscalings_have_a_status_of_ours() {
    let mut of_hpa = wanted("a", 3);
    of_hpa.claimant.way = Way::HorizontalPodAutoscaler;
    assert_eq!(due(&mut queue(1.0), &[of_hpa], 0), (0, 0));
}

#[test]
fn a_document_has_wvas_fields_and_ours_where_they_may_be() {
    let status = |plain| document(&wanted("a", 3), 1_767_225_600_123, plain)["status"].clone();
    let plain = json!({
        "desiredOptimizedAlloc": {
            "numReplicas": 3, "accelerator": "H100", "lastRunTime": "2026-01-01T00:00:00Z"
        },
        "actuation": {"applied": true},
        "conditions": [{
            "type": "MetricsAvailable", "status": "True", "reason": "MetricsFound",
            "message": "every serving replica reports",
            "lastTransitionTime": "2026-01-01T00:00:00Z"
        }],
    });
    assert_eq!(status(true), plain);
    let mut ours = plain;
    ours["reason"] = json!("floor 9 requests/s needs 3");
    ours["currentReplicas"] = json!(1);
    assert_eq!(status(false), ours);
}

#[test]
fn a_condition_keeps_the_instant_at_which_it_became_so() {
    let mut later = wanted("a", 3);
    later.recorded = Some(recorded(&wanted("a", 2), 0, false));
    let since = |wanted: &Wanted| {
        document(wanted, 60_000, false)["status"]["conditions"][0]["lastTransitionTime"].clone()
    };
    assert_eq!(since(&later), json!("1970-01-01T00:00:00Z"));
    later.conditions = vec![metrics_available(&MetricsState::Missing("none".to_owned()))];
    assert_eq!(since(&later), json!("1970-01-01T00:01:00Z"));
}

#[test]
fn a_refused_claim_keeps_the_count_that_was_decided() {
    let refused = Refused {
        claimant: claimant("a"),
        uid: String::new(),
        target: crate::TargetKey {
            namespace: "n".to_owned(),
            group: "apps".to_owned(),
            kind: "Deployment".to_owned(),
            name: "d".to_owned(),
        },
        recorded: Some(recorded(&wanted("a", 7), 0, false)),
        why: Why::TargetNotFound,
        message: "Deployment n/d does not exist".to_owned(),
    };
    let status = document(&of_refused(&refused), 60_000, false)["status"].clone();
    assert_eq!(status["desiredOptimizedAlloc"]["numReplicas"], json!(7));
    assert_eq!(
        status["desiredOptimizedAlloc"]["lastRunTime"],
        json!("1970-01-01T00:00:00Z")
    );
    let conditions = status["conditions"].as_array().unwrap();
    let codes: Vec<_> = conditions
        .iter()
        .map(|told| (&told["type"], &told["status"], &told["reason"]))
        .collect();
    assert_eq!(
        codes,
        [
            (
                &json!("TargetResolved"),
                &json!("False"),
                &json!("TargetNotFound")
            ),
            (
                &json!("OptimizationReady"),
                &json!("False"),
                &json!("SkippedProcessing")
            ),
        ]
    );
}

#[test]
fn a_pool_that_cannot_be_started_and_a_workload_that_cannot_be_scaled_say_so() {
    let of = |reason: &str, message: &str| {
        let mut pool = decision_of("n", "p");
        pool.conditions = vec![Condition::new(reason, message.to_owned())];
        let shown = actuated(&pool, &decided(0, 1), None).unwrap();
        (shown.holds, shown.reason, shown.message)
    };
    let why = "`v`: a request waits, and Deployment n/d is not started: forbidden";
    let failed = of(condition::SCALING_FAILED, why);
    assert_eq!(failed, (false, "ScalingFailed", why.to_owned()));
    let other = of(
        condition::SCALING_FAILED,
        "`w`: Deployment n/e is not scaled",
    );
    assert!(other.0, "another variant's: {other:?}");
    let cannot = of(condition::CANNOT_START, "a request waits");
    assert_eq!(cannot, (false, "CannotStart", "a request waits".to_owned()));

    let mut pool = decision_of("n", "p");
    let stuck = "20 requests wait, and no replica has any";
    pool.conditions = vec![Condition::new(condition::ROUTER_STUCK, stuck)];
    assert_eq!(reason(&pool, &decided(1, 1)), stuck);
}
