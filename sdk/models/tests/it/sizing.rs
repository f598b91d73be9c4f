//! The rate that is sized is the largest that meets the targets, or a little less.

use trimtab_models::{
    Batch, Binding, Iteration, Lengths, ModelError, Replica, Role, Spread, Tail, Targets, size,
};

use crate::simulator::{Engine, Seen, arrivals, serve};
use crate::validation::{BATCH, CARDS};

const REQUESTS: f64 = 40_000.0;

struct Case {
    role: Role,
    iteration: Iteration,
    lengths: Lengths,
    batch: Batch,
    targets: Targets,
}

impl Case {
    /// The faster card, whole requests of a conversation.
    fn new(input: f64, output: f64) -> Self {
        Self {
            role: Role::Both,
            iteration: CARDS[0].iteration,
            lengths: Lengths::new(input, output),
            batch: BATCH,
            targets: CARDS[0].targets,
        }
    }

    fn replica(&self) -> Replica {
        Replica::in_role(self.role, self.iteration, self.lengths, self.batch).unwrap()
    }

    fn sized(&self) -> trimtab_models::Sized {
        size(&self.replica(), &self.targets, &Tail::prior(), None).unwrap()
    }

    /// Share of simulated requests that meet the targets at this rate.
    fn attained(&self, rate: f64) -> f64 {
        let engine = Engine {
            role: self.role,
            iteration: self.iteration,
            batch: self.batch,
        };
        let end = REQUESTS / rate;
        let seen = Seen::of(&serve(&engine, &arrivals(3, &self.lengths, end, |_| rate)));
        let bound = |target: Option<f64>| target.unwrap_or(f64::INFINITY);
        seen.attained(
            bound(self.targets.ttft_seconds),
            bound(self.targets.itl_seconds),
        )
    }

    /// Largest rate that attains the percentile in the simulation, to within one in a hundred.
    fn true_rate(&self, guess: f64) -> f64 {
        let (mut low, mut high) = (0.6 * guess, 1.4 * guess);
        for _ in 0..6 {
            let middle = f64::midpoint(low, high);
            if self.attained(middle) >= self.targets.percentile {
                low = middle;
            } else {
                high = middle;
            }
        }
        f64::midpoint(low, high)
    }

    /// The sized rate over the true one.
    fn ratio(&self) -> f64 {
        let sized = self.sized().rate;
        sized / self.true_rate(sized)
    }
}

#[track_caller]
fn check(what: &str, case: &Case, least: f64, most: f64) {
    let ratio = case.ratio();
    assert!(
        (least..=most).contains(&ratio),
        "{what}: sized {ratio:.3} of the true rate"
    );
}

#[test]
fn itl_bound_conversation_is_sized_closely() {
    let case = Case::new(1155.0, 211.0);
    assert_eq!(case.sized().binding, Binding::Itl);
    check("conversation", &case, 0.93, 1.01);
    assert!(case.attained(case.sized().rate) >= 0.989);
}

#[test]
fn slower_card_is_sized_closely() {
    let case = Case {
        iteration: CARDS[1].iteration,
        targets: CARDS[1].targets,
        ..Case::new(1155.0, 211.0)
    };
    check("slower card", &case, 0.9, 1.02);
}

#[test]
fn ttft_bound_is_sized_closely() {
    let mut case = Case::new(1155.0, 211.0);
    case.targets.ttft_seconds = Some(0.4);
    case.targets.itl_seconds = Some(0.2);
    assert_eq!(case.sized().binding, Binding::Ttft);
    check("TTFT", &case, 0.85, 1.03);
}

#[test]
fn short_answers_to_long_prompts_are_sized_closely() {
    check("short answers", &Case::new(2048.0, 28.0), 0.85, 1.06);
}

#[test]
fn long_answers_fill_the_places() {
    let case = Case::new(200.0, 1000.0);
    check("places", &case, 0.9, 1.04);
}

#[test]
fn alike_requests_are_sized_closely() {
    let mut case = Case::new(1155.0, 211.0);
    case.lengths = case.lengths.with_spread(Spread::NONE);
    check("alike", &case, 0.9, 1.02);
}

#[test]
fn smaller_percentile_is_sized_closely() {
    let mut case = Case::new(1155.0, 211.0);
    case.targets.percentile = 0.9;
    check("p90", &case, 0.9, 1.02);
}

#[test]
fn small_budget_of_tokens_is_sized_closely() {
    let mut case = Case::new(1155.0, 211.0);
    case.iteration = CARDS[1].iteration;
    case.targets = CARDS[1].targets;
    case.batch.max_batched_tokens = 2048;
    check("small budget", &case, 0.85, 1.04);
}

#[test]
fn full_kv_cache_limits_the_rate() {
    let mut case = Case::new(1155.0, 211.0);
    case.batch.kv_capacity_tokens = Some(100_000);
    case.targets.ttft_seconds = Some(2.0);
    case.targets.itl_seconds = Some(0.2);
    assert_eq!(case.sized().binding, Binding::Capacity);
    check("KV cache", &case, 0.85, 1.02);
}

#[test]
fn prefill_replica_is_sized_for_ttft_alone() {
    let mut case = Case::new(1155.0, 211.0);
    case.role = Role::Prefill;
    case.targets.ttft_seconds = Some(0.5);
    case.targets.itl_seconds = Some(0.001);
    assert_eq!(case.sized().binding, Binding::Ttft);
    check("prefill", &case, 0.85, 1.04);
}

#[test]
fn decode_replica_is_sized_for_itl_alone() {
    let mut case = Case::new(1155.0, 211.0);
    case.role = Role::Decode;
    case.targets.ttft_seconds = None;
    case.targets.itl_seconds = Some(0.02);
    case.batch.max_sequences = 1024;
    assert_eq!(case.sized().binding, Binding::Itl);
    check("decode", &case, 0.93, 1.04);
}

#[test]
fn hint_does_not_change_the_answer() {
    let case = Case::new(1155.0, 211.0);
    let replica = case.replica();
    let cold = case.sized().rate;
    for hint in [0.1, 0.7, 0.99, 1.0, 1.01, 1.3, 100.0, f64::NAN, -1.0] {
        let sized = size(&replica, &case.targets, &Tail::prior(), Some(hint * cold)).unwrap();
        assert!((sized.rate / cold - 1.0).abs() < 1e-3, "{hint}");
    }
}

#[test]
fn learned_tail_moves_the_rate() {
    let case = Case::new(1155.0, 211.0);
    let heavier = Tail {
        itl_factor: 1.2,
        ..Tail::prior()
    };
    let sized = size(&case.replica(), &case.targets, &heavier, None).unwrap();
    assert!(sized.rate < case.sized().rate);
    assert!(sized.quantiles.itl_seconds <= 0.05);
}

#[test]
fn unreachable_target_names_the_best() {
    let mut case = Case::new(1155.0, 211.0);
    case.targets.ttft_seconds = Some(0.01);
    let refused = size(&case.replica(), &case.targets, &Tail::prior(), None);
    let Err(ModelError::TargetUnreachable { what, target, best }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((what, target), ("TTFT", 0.01));
    assert!(best > 0.04, "{best}");
}

#[test]
fn no_targets_leave_the_capacity() {
    let mut case = Case::new(1155.0, 211.0);
    case.targets.ttft_seconds = None;
    case.targets.itl_seconds = None;
    let sized = case.sized();
    assert_eq!(sized.binding, Binding::Capacity);
    assert_eq!(sized.rate, case.replica().max_rate());
}
