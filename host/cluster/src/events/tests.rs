//! What is news, and what becomes of it.

use std::sync::{Arc, Mutex};

use super::*;
use crate::index::testing::*;
use http::{Request, Response};
use kube::client::Body;
use trimtab_contract::{Role, Stage};
use trimtab_core::decision::{Analyzed, Call, Planned};
use trimtab_core::snapshot::Mode;

fn told(number: usize) -> Told {
    let view = view_of(&[deployment("a/d", 1), variant("a/v", "d")]);
    let of = &view.pools[0].variants[0];
    Told {
        claimant: of.claimant.clone(),
        uid: of.uid.clone(),
        warning: false,
        reason: format!("Reason{number}"),
        note: String::new(),
    }
}

/// An API server that answers as it is told to, and the events that reached it.
fn server(answers: Vec<Option<u16>>) -> (Client, Arc<Mutex<Vec<String>>>) {
    let reached = Arc::new(Mutex::new(Vec::new()));
    let (answers, heard) = (Mutex::new(answers.into_iter()), Arc::clone(&reached));
    let service = tower::service_fn(move |request: Request<Body>| {
        let answer = answers.lock().unwrap().next().unwrap_or(Some(201));
        let heard = Arc::clone(&heard);
        async move {
            let body = request.into_body().collect_bytes().await.unwrap();
            let event: serde_json::Value = serde_json::from_slice(&body).unwrap();
            let reason = event["reason"].as_str().unwrap().to_owned();
            let Some(code) = answer else {
                return Err(std::io::Error::other("connection reset"));
            };
            heard.lock().unwrap().push(reason);
            let body = if code == 201 {
                event
            } else {
                serde_json::json!({"kind": "Status", "code": code, "status": "Failure",
                                   "message": "no", "reason": "Forbidden"})
            };
            let body = Body::from(serde_json::to_vec(&body).unwrap());
            Ok(Response::builder().status(code).body(body).unwrap())
        }
    });
    (Client::new(service, "default"), reached)
}

#[tokio::test]
async fn what_the_api_server_does_not_answer_is_told_later() {
    let (client, reached) = server(vec![Some(201), None, Some(403)]);
    let mut speaker = Speaker::new(client, "i");
    speaker.hear((0..3).map(told).collect(), 0);
    speaker.tell().await;
    assert_eq!(*reached.lock().unwrap(), ["Reason0"]);
    // The refused one is not tried for ever.
    speaker.tell().await;
    assert_eq!(*reached.lock().unwrap(), ["Reason0", "Reason1", "Reason2"]);
    speaker.tell().await;
    assert_eq!(reached.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn of_too_much_the_oldest_goes() {
    let (client, reached) = server(Vec::new());
    let mut speaker = Speaker::new(client, "i");
    speaker.hear((0..=MOST_WAITING).map(told).collect(), 0);
    speaker.tell().await;
    let reached = reached.lock().unwrap();
    assert_eq!((reached.len(), &*reached[0]), (MOST_WAITING, "Reason1"));
}

/// One replica of variant `v` is asked for.
fn decision() -> PoolDecision {
    PoolDecision {
        now_ms: 0,
        namespace: "a".to_owned(),
        pool: "model:m".to_owned(),
        mode: Mode::Enforce,
        arm: None,
        analyses: Vec::new(),
        plan: Planned {
            call: silence(),
            notes: Vec::new(),
        },
        variants: vec![VariantDecision {
            variant: "v".to_owned(),
            accelerator: "H100".to_owned(),
            role: Role::Both,
            current: 1,
            previous: 1,
            proposed: None,
            desired: 1,
            published: true,
            reason: "no more H100".to_owned(),
            steps: Vec::new(),
        }],
        conditions: Vec::new(),
    }
}

fn silence() -> Call {
    Call::default()
}

#[test]
fn a_floor_that_cannot_be_met_is_told_once_with_the_reason() {
    let view = view_of(&[deployment("a/d", 1), variant("a/v", "d")]);
    let mut news = News::default();
    let mut told = |minute: u64, floor: f64| -> Vec<String> {
        let mut decision = decision();
        decision.analyses.push(Analyzed {
            call: silence(),
            stages: vec![Stage {
                role: Role::Both,
                unit: "requests/s".to_owned(),
                demand: floor,
                forecast: None,
                floor,
                ceiling: floor,
                capacities: vec![Capacity {
                    variant: 0,
                    per_replica: 8.0,
                    load: 8.0,
                    predicted_ttft: None,
                    predicted_itl: None,
                }],
            }],
            notes: Vec::new(),
        });
        let pools = [(&view.pools[0], &decision)].into_iter();
        let told = news.of_tick(pools, &[], minute * 60_000);
        told.into_iter()
            .map(|told| format!("{}: {}", told.reason, told.note))
            .collect()
    };
    assert_eq!(told(0, 8.0), [] as [String; 0]);
    let short = "FloorUnmet: pool model:m: 9.0 requests/s are needed, 8.0 are asked for: \
                 no more H100";
    assert_eq!(told(0, 9.0), [short]);
    assert_eq!(told(1, 9.5), [] as [String; 0]);
    // To and fro is no news.
    assert_eq!(told(2, 8.0), [] as [String; 0]);
    assert_eq!(told(3, 9.0), [] as [String; 0]);
    assert_eq!(told(12, 8.0), [] as [String; 0]);
    assert_eq!(told(13, 9.0), [short]);
}

#[test]
fn what_does_not_fit_is_told_next_time_and_refusals_are_told_first() {
    let decision = decision();
    let objects = [
        deployment("a/d", 1),
        variant("a/v", "d"),
        variant("a/w", "e"),
    ];
    let mut view = view_of(&objects);
    let pool = &mut view.pools[0];
    let warnings = (0..MOST_AT_ONCE).map(|number| format!("fault {number}"));
    pool.variants[0].warnings = warnings.collect();
    let mut news = News::default();
    let pool = [(&view.pools[0], &decision)];
    let mut told = || news.of_tick(pool.into_iter(), &view.refused, 0);
    let (first, second) = (told(), told());
    assert_eq!(first.len(), MOST_AT_ONCE);
    assert_eq!(first[0].reason, "TargetNotFound");
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].note, format!("fault {}", MOST_AT_ONCE - 1));
    assert_eq!(told(), []);
}

#[test]
fn each_thing_that_is_wrong_with_an_object_is_told_once_while_it_goes_on() {
    let decision = decision();
    let mut view = view_of(&[deployment("a/d", 1), variant("a/v", "d")]);
    let mut news = News::default();
    let mut told = |minute: u64, warnings: &[&str]| -> Vec<String> {
        let pool = &mut view.pools[0];
        let warnings = warnings.iter().map(|warning| (*warning).to_owned());
        pool.variants[0].warnings = warnings.collect();
        let pools = [(&*pool, &decision)].into_iter();
        let told = news.of_tick(pools, &[], minute * 60_000);
        told.into_iter().map(|told| told.note).collect()
    };
    assert_eq!(told(0, &["a cost"]), ["a cost"]);
    assert_eq!(told(1, &["a cost", "a role"]), ["a role"]);
    assert_eq!(told(9, &["a role"]), [] as [String; 0]);
    assert_eq!(told(11, &["a role", "a cost"]), ["a cost"]);
}

#[test]
fn a_count_that_is_given_to_nobody_is_told_when_it_changes() {
    let view = view_of(&[deployment("a/d", 1), variant("a/v", "d")]);
    let mut news = News::default();
    let mut told = |previous: u32, desired: u32| -> Vec<String> {
        let mut decision = decision();
        let of = &mut decision.variants[0];
        (of.previous, of.desired, of.published) = (previous, desired, false);
        let told = news.of_tick([(&view.pools[0], &decision)].into_iter(), &[], 0);
        told.into_iter().map(|told| told.note).collect()
    };
    let up = "desired 1 to 3 (not published): no more H100";
    assert_eq!(told(1, 3), [up]);
    assert_eq!(told(1, 3), [] as [String; 0]);
    assert_eq!(told(1, 2).len(), 1);
    assert_eq!(told(1, 1), [] as [String; 0]);
    assert_eq!(told(1, 3), [up]);
}
