//! The tracker finds the constants of a simulated replica from what its metrics would show, or at
//! least the rate that they stand for.

use trimtab_models::{
    Iteration, Lengths, Observation, Replica, Role, Spread, Tail, Tracker, Verdict, size,
};

use crate::simulator::{Engine, Run, arrivals, serve};
use crate::validation::{BATCH, CARDS, Card};

/// Length of the window that metrics are averaged over, and time between looks at it, in seconds.
const WINDOW: f64 = 60.0;
const PERIOD: f64 = 15.0;

/// Shares of the sized rate that the load goes through, and how long from one to the next.
const LOADS: [f64; 6] = [0.5, 0.3, 0.7, 0.9, 0.4, 0.7];
const LEG: f64 = 180.0;

struct Fleet {
    card: &'static Card,
    lengths: Lengths,
    role: Role,
    replicas: u64,
}

impl Fleet {
    fn new(card: usize) -> Self {
        Self {
            card: &CARDS[card],
            lengths: Lengths::new(1155.0, 211.0),
            role: Role::Both,
            replicas: 4,
        }
    }

    fn rate_with(&self, iteration: Iteration) -> f64 {
        let replica = Replica::in_role(self.role, iteration, self.lengths, BATCH).unwrap();
        size(&replica, &self.card.targets, &Tail::prior(), None).map_or(0.0, |sized| sized.rate)
    }

    /// What is seen, look after look, while the load is `load(time)` of the true sized rate.
    fn observations(&self, end: f64, load: impl Fn(f64) -> f64) -> Vec<Observation> {
        let rate = self.rate_with(self.card.iteration);
        let engine = Engine {
            role: self.role,
            iteration: self.card.iteration,
            batch: BATCH,
        };
        let runs: Vec<Run> = (0..self.replicas)
            .map(|seed| {
                let all = arrivals(seed, &self.lengths, end, |at| rate * load(at));
                serve(&engine, &all)
            })
            .collect();
        let looks = ((end - WINDOW) / PERIOD) as u32;
        (0..looks)
            .map(|look| self.observe(&runs, WINDOW + PERIOD * f64::from(look)))
            .collect()
    }

    fn observe(&self, runs: &[Run], now: f64) -> Observation {
        let inside = |at: f64| at > now - WINDOW && at <= now;
        let served = || runs.iter().flat_map(|run| &run.served);
        let finished = served().filter(|s| inside(s.finished_at)).count() as f64;
        let first: Vec<f64> = served()
            .filter(|s| inside(s.first_token_at))
            .map(|s| s.ttft())
            .collect();
        let steps = || {
            runs.iter()
                .flat_map(|run| &run.steps)
                .filter(|step| inside(step.end))
        };
        let gaps: f64 = steps().map(|step| step.decoding as f64).sum();
        let time: f64 = steps()
            .map(|step| step.decoding as f64 * step.seconds)
            .sum();
        let running: f64 = steps().map(|step| step.running as f64 * step.seconds).sum();
        let replicas = self.replicas as f64;
        Observation {
            role: self.role,
            rate: finished / WINDOW / replicas,
            // Windows overlap: a quarter is new.
            requests: finished * PERIOD / WINDOW,
            lengths: self.lengths,
            batch: BATCH,
            ttft_seconds: Some(first.iter().sum::<f64>() / first.len() as f64),
            itl_seconds: (gaps > 0.0).then(|| time / gaps),
            running: Some(running / WINDOW / replicas),
        }
    }

    /// Largest error of the sized rate from the given look on, and what nine in ten stay below.
    fn errors(&self, tracker: &mut Tracker, seen: &[Observation], from: usize) -> (f64, f64) {
        let truth = self.rate_with(self.card.iteration);
        let mut errors: Vec<f64> = seen
            .iter()
            .map(|observation| {
                tracker.update(observation);
                (self.rate_with(tracker.iteration()) / truth - 1.0).abs()
            })
            .skip(from)
            .collect();
        errors.sort_by(f64::total_cmp);
        (errors[errors.len() - 1], errors[errors.len() * 9 / 10])
    }
}

fn scaled(iteration: Iteration, factors: [f64; 3]) -> Iteration {
    Iteration {
        base_seconds: factors[0] * iteration.base_seconds,
        token_seconds: factors[1] * iteration.token_seconds,
        kv_token_seconds: factors[2] * iteration.kv_token_seconds,
    }
}

/// Straight lines between the loads.
fn changing(at: f64) -> f64 {
    let leg = (at / LEG) as usize;
    let from = LOADS[leg.min(LOADS.len() - 1)];
    let to = LOADS[(leg + 1).min(LOADS.len() - 1)];
    from + (to - from) * (at / LEG - leg as f64)
}

const END: f64 = LEG * LOADS.len() as f64;

#[test]
fn wrong_scale_is_found_within_few_looks() {
    for card in 0..2 {
        let fleet = Fleet::new(card);
        let seen = fleet.observations(END, changing);
        for factor in [0.5, 0.7, 1.0, 1.4, 2.0] {
            let mut tracker = Tracker::new(scaled(fleet.card.iteration, [factor; 3]));
            let (early, late) = seen.split_at(20);
            let (worst, _) = fleet.errors(&mut tracker, early, 10);
            assert!(
                worst < 0.15,
                "card {card} from ×{factor}: off by {worst:.3}"
            );
            let (worst, most) = fleet.errors(&mut tracker, late, 0);
            assert!(
                worst < 0.15,
                "card {card} from ×{factor}: later off by {worst:.3}"
            );
            assert!(
                most < 0.1,
                "card {card} from ×{factor}: mostly off by {most:.3}"
            );
        }
    }
}

#[test]
fn wrong_shape_is_found_while_the_load_changes() {
    for card in 0..2 {
        let fleet = Fleet::new(card);
        let seen = fleet.observations(END, changing);
        for factors in [
            [0.5, 2.0, 1.0],
            [2.0, 0.5, 1.0],
            [1.0, 2.0, 0.5],
            [1.5, 0.5, 2.0],
        ] {
            let mut tracker = Tracker::new(scaled(fleet.card.iteration, factors));
            let (worst, most) = fleet.errors(&mut tracker, &seen, 25);
            assert!(
                worst < 0.17,
                "card {card} from {factors:?}: off by {worst:.3}"
            );
            assert!(
                most < 0.13,
                "card {card} from {factors:?}: mostly off by {most:.3}"
            );
        }
    }
}

#[test]
fn few_observations_make_it_confident() {
    let fleet = Fleet::new(0);
    let seen = fleet.observations(END, changing);
    let mut tracker = Tracker::new(scaled(fleet.card.iteration, [1.5; 3]));
    assert!(tracker.confidence().relative_error > 0.4);
    for observation in seen.iter().take(10) {
        tracker.update(observation);
    }
    let confidence = tracker.confidence();
    assert!(confidence.accepted >= 8, "{confidence:?}");
    assert!(confidence.relative_error < 0.06, "{confidence:?}");
}

#[test]
fn steady_load_does_not_make_it_drift() {
    let fleet = Fleet::new(0);
    let seen = fleet.observations(3600.0, |_| 0.5);
    let prior = scaled(fleet.card.iteration, [1.3, 0.8, 1.2]);
    let mut tracker = Tracker::new(prior);
    let (worst, _) = fleet.errors(&mut tracker, &seen, 20);
    assert!(worst < 0.2, "off by {worst:.3}");
    for (value, truth) in tracker.state.iter().zip([6e-3, 32e-6, 0.05e-6]) {
        let factor = value / truth;
        assert!((0.6..1.6).contains(&factor), "{factor} of the truth");
    }
}

#[test]
fn changed_engine_is_believed_after_some_rejections() {
    let fleet = Fleet::new(0);
    let mut tracker = Tracker::new(fleet.card.iteration);
    for observation in fleet.observations(1200.0, changing) {
        tracker.update(&observation);
    }
    let mut verdicts = Vec::new();
    for observation in fleet.observations(1500.0, changing) {
        // All takes two and a half times as long now.
        let slower = Observation {
            ttft_seconds: observation.ttft_seconds.map(|ttft| 2.5 * ttft),
            itl_seconds: observation.itl_seconds.map(|itl| 2.5 * itl),
            rate: observation.rate / 2.5,
            ..observation
        };
        verdicts.push(tracker.update(&slower));
    }
    assert!(
        matches!(verdicts[0], Verdict::Rejected { .. }),
        "{:?}",
        verdicts[0]
    );
    let late = &verdicts[verdicts.len() / 2..];
    let accepted = late
        .iter()
        .filter(|v| matches!(v, Verdict::Accepted { .. }))
        .count();
    assert!(
        10 * accepted >= 9 * late.len(),
        "{accepted} of {}",
        late.len()
    );
    let base = tracker.iteration().base_seconds / fleet.card.iteration.base_seconds;
    assert!((1.8..3.2).contains(&base), "base {base} times as long");
}

#[test]
fn ttft_alone_tracks_a_prefill_replica() {
    let fleet = Fleet {
        role: Role::Prefill,
        ..Fleet::new(0)
    };
    let seen = fleet.observations(END, changing);
    for factor in [0.6, 1.7] {
        let mut tracker = Tracker::new(scaled(fleet.card.iteration, [factor; 3]));
        let (worst, _) = fleet.errors(&mut tracker, &seen, 15);
        assert!(worst < 0.2, "from ×{factor}: off by {worst:.3}");
    }
}

#[test]
fn itl_alone_tracks_a_decode_replica() {
    let fleet = Fleet {
        role: Role::Decode,
        ..Fleet::new(0)
    };
    let seen = fleet.observations(END, changing);
    for factor in [0.6, 1.7] {
        let mut tracker = Tracker::new(scaled(fleet.card.iteration, [factor; 3]));
        let (worst, _) = fleet.errors(&mut tracker, &seen, 15);
        assert!(worst < 0.15, "from ×{factor}: off by {worst:.3}");
    }
}

#[test]
fn nothing_measured_changes_nothing() {
    let mut tracker = Tracker::new(CARDS[0].iteration);
    let before = tracker;
    let nothing = Observation {
        role: Role::Both,
        rate: 1.0,
        requests: 10.0,
        lengths: Lengths::new(1155.0, 211.0).with_spread(Spread::NONE),
        batch: BATCH,
        ttft_seconds: None,
        itl_seconds: None,
        running: None,
    };
    let absurd = [
        nothing,
        Observation {
            rate: f64::NAN,
            itl_seconds: Some(0.01),
            ..nothing
        },
        Observation {
            requests: 0.0,
            itl_seconds: Some(0.01),
            ..nothing
        },
        Observation {
            itl_seconds: Some(f64::INFINITY),
            ttft_seconds: Some(-1.0),
            ..nothing
        },
    ];
    for observation in absurd {
        assert_eq!(tracker.update(&observation), Verdict::Unusable);
        assert_eq!(tracker, before);
    }
}
