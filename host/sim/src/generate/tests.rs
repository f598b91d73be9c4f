//! Generated arrivals: rates, lengths, and the same ones for the same seed.

use proptest::prelude::*;

use super::*;

const INPUT: Lengths = Lengths {
    mean: 1000.0,
    cv: 1.0,
    max: 100_000,
};
const OUTPUT: Lengths = Lengths {
    mean: 200.0,
    cv: 0.0,
    max: 1000,
};

fn process(pattern: Pattern) -> Process {
    Process {
        patterns: vec![pattern],
        input: INPUT,
        output: OUTPUT,
    }
}

/// Requests per second in each tenth of the run.
fn rates(pattern: Pattern, duration_seconds: f64) -> [f64; 10] {
    let mut rates = [0.0; 10];
    for arrival in generate(&process(pattern), duration_seconds, 3) {
        rates[(arrival.at_seconds / duration_seconds * 10.0) as usize] += 10.0 / duration_seconds;
    }
    rates
}

fn coefficient_of_variation(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
    variance.sqrt() / mean
}

fn gaps(arrivals: &[Arrival]) -> Vec<f64> {
    arrivals
        .windows(2)
        .map(|pair| pair[1].at_seconds - pair[0].at_seconds)
        .collect()
}

#[test]
fn poisson_gaps_vary_as_much_as_their_mean() {
    let arrivals = generate(&process(Pattern::Poisson { rate: 10.0 }), 2000.0, 1);
    assert!(
        (19_500..20_500).contains(&arrivals.len()),
        "{}",
        arrivals.len()
    );
    let cv = coefficient_of_variation(&gaps(&arrivals));
    assert!((0.97..1.03).contains(&cv), "{cv}");
}

#[test]
fn bursts_vary_more_and_keep_the_mean() {
    let bursts = Pattern::Bursts {
        on_rate: 20.0,
        off_rate: 1.0,
        on_seconds: 10.0,
        off_seconds: 30.0,
    };
    let arrivals = generate(&process(bursts), 40_000.0, 1);
    let rate = arrivals.len() as f64 / 40_000.0;
    assert!((5.2..6.3).contains(&rate), "{rate}");
    assert!(coefficient_of_variation(&gaps(&arrivals)) > 2.0);
}

#[test]
fn a_day_has_its_peak_at_noon() {
    let day = Pattern::DailyCycle {
        trough: 5.0,
        peak: 20.0,
        period_seconds: 86_400.0,
    };
    let rates = rates(day, 86_400.0);
    assert!(
        (5.2..5.7).contains(&rates[0]) && (5.2..5.7).contains(&rates[9]),
        "{rates:?}"
    );
    assert!(
        (19.3..19.9).contains(&rates[4]) && (19.3..19.9).contains(&rates[5]),
        "{rates:?}"
    );
}

#[test]
fn ramps_rise_and_steps_end() {
    let ramp = rates(
        Pattern::Ramp {
            from: 0.0,
            to: 100.0,
        },
        1000.0,
    );
    assert!(
        (3.0..7.0).contains(&ramp[0]) && (92.0..98.0).contains(&ramp[9]),
        "{ramp:?}"
    );
    let step = Pattern::Step {
        rate: 50.0,
        at_seconds: 200.0,
        for_seconds: 300.0,
    };
    let step = rates(step, 1000.0);
    assert_eq!((step[1], step[5]), (0.0, 0.0));
    assert!(
        step[2..5].iter().all(|rate| (40.0..60.0).contains(rate)),
        "{step:?}"
    );
}

#[test]
fn patterns_add_up() {
    let both = Process {
        patterns: vec![
            Pattern::Poisson { rate: 5.0 },
            Pattern::Ramp {
                from: 0.0,
                to: 10.0,
            },
        ],
        ..process(Pattern::Poisson { rate: 0.0 })
    };
    let count = generate(&both, 2000.0, 1).len();
    assert!((19_500..20_500).contains(&count), "{count}");
}

#[test]
fn lengths_have_the_mean_and_spread_asked_for() {
    let arrivals = generate(&process(Pattern::Poisson { rate: 20.0 }), 2000.0, 1);
    let input: Vec<f64> = arrivals.iter().map(|a| f64::from(a.input_tokens)).collect();
    let mean = input.iter().sum::<f64>() / input.len() as f64;
    assert!((970.0..1030.0).contains(&mean), "{mean}");
    let cv = coefficient_of_variation(&input);
    assert!((0.9..1.1).contains(&cv), "{cv}");
    assert!(arrivals.iter().all(|a| a.output_tokens == 200));
}

#[test]
fn other_lengths_do_not_move_arrivals() {
    let one = process(Pattern::Poisson { rate: 2.0 });
    let other = Process {
        input: OUTPUT,
        output: INPUT,
        ..one.clone()
    };
    let times = |process| -> Vec<f64> {
        generate(process, 500.0, 9)
            .iter()
            .map(|a| a.at_seconds)
            .collect()
    };
    assert_eq!(times(&one), times(&other));
}

proptest! {
    #[test]
    fn arrivals_are_ordered_inside_the_run_and_capped(
        rate in 0.0..20.0f64,
        peak in 0.0..20.0f64,
        duration in 1.0..200.0f64,
        seed in any::<u64>(),
        max in 1..2000u32,
    ) {
        let process = Process {
            patterns: vec![
                Pattern::DailyCycle { trough: rate, peak, period_seconds: 50.0 },
                Pattern::Bursts { on_rate: peak, off_rate: rate, on_seconds: 3.0, off_seconds: 9.0 },
            ],
            input: Lengths { mean: 500.0, cv: 2.0, max },
            output: OUTPUT,
        };
        let arrivals = generate(&process, duration, seed);
        prop_assert!(arrivals.is_sorted_by_key(|a| a.at_seconds));
        prop_assert!(arrivals.iter().all(|a| (0.0..duration).contains(&a.at_seconds)));
        prop_assert!(arrivals.iter().all(|a| (1..=max).contains(&a.input_tokens)));
        prop_assert_eq!(&arrivals, &generate(&process, duration, seed));
    }

    #[test]
    fn scaling_a_pattern_scales_its_requests(factor in 0.5..4.0f64) {
        let ramp = Pattern::Ramp { from: 10.0, to: 30.0 };
        let count = generate(&process(ramp.scaled(factor)), 500.0, 5).len() as f64;
        prop_assert!((count / (10_000.0 * factor) - 1.0).abs() < 0.06);
    }
}
