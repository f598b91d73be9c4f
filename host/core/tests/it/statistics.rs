//! Whether the intervals of an experiment mean what they say, by simulation. The bench of the same
//! simulation takes longer and is exact; this is to notice an estimator that is broken.

use rayon::prelude::*;
use trimtab_core::experiment::{Effect, Experiment, Report};

use crate::switchback::{CANDIDATE, CONTROL, World, run};

const RUNS: u64 = 200;

/// Each run half a day.
fn reports(control: f64, candidate: f64) -> Vec<Report> {
    let world = World {
        noise: 0.15,
        correlation_minutes: 30.0,
        ttft: 0.6,
    };
    let runs = (0..RUNS).into_par_iter().map(|seed| {
        let rules = Experiment {
            seed,
            max_slots: 24,
            ..Experiment::default()
        };
        run(&rules, world, control, candidate)
    });
    runs.collect()
}

fn covers(effect: &Effect, truth: f64) -> bool {
    let [low, high] = effect.interval.unwrap();
    low <= truth && truth <= high
}

fn count(reports: &[Report], of: impl Fn(&Report) -> bool) -> usize {
    reports.iter().filter(|report| of(report)).count()
}

#[test]
fn intervals_cover_zero_in_nineteen_of_twenty_experiments_between_equals() {
    let reports = reports(CONTROL, CONTROL);
    // 190 are right; three standard deviations are 9.
    let cost = count(&reports, |report| covers(&report.cost, 0.0));
    assert!((181..=199).contains(&cost), "{cost} of {RUNS}");
    let attainment = count(&reports, |report| covers(&report.attainment, 0.0));
    assert!((181..=199).contains(&attainment), "{attainment} of {RUNS}");
}

#[test]
fn a_saving_of_a_tenth_is_found_and_measured() {
    let reports = reports(CONTROL, CANDIDATE);
    let found = count(&reports, |report| {
        report.cost.interval.is_some_and(|[_, high]| high < 0.0)
    });
    assert!(found >= 190, "{found} of {RUNS}");
    let share =
        |report: &Report| report.cost.estimate.unwrap() / report.control.cost_per_hour.unwrap();
    let mean = reports.iter().map(share).sum::<f64>() / RUNS as f64;
    assert!((-0.107..=-0.087).contains(&mean), "{mean}");
}
