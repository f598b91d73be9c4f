//! Whose turn it was: the arms of an experiment, as bands over time.

use maud::{Markup, html};
use trimtab_core::experiment::{Arm, Phase};
use trimtab_sim::tried::ExperimentSeries;

use super::ink::Ink;

/// A span of a run in which one arm decided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Band {
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) ink: Ink,
}

/// One for each arm's turn, and one for each washout; none after the end.
pub(crate) fn bands(series: &ExperimentSeries) -> Vec<Band> {
    let mut bands: Vec<Band> = Vec::new();
    // An arm is in force until the next tick.
    let until = series.ticks.iter().skip(1).map(|(at, _)| *at);
    for ((from, report), to) in series.ticks.iter().zip(until) {
        let Some(ink) = ink(&report.phase) else {
            continue;
        };
        let before = bands.last_mut();
        match before.filter(|band| band.ink == ink && band.to >= *from) {
            Some(band) => band.to = to,
            None => bands.push(Band {
                from: *from,
                to,
                ink,
            }),
        }
    }
    bands
}

fn ink(phase: &Phase) -> Option<Ink> {
    match phase {
        Phase::Running {
            arm, washing_out, ..
        } => {
            let arm = match arm {
                Arm::Control => 0,
                Arm::Candidate => 1,
            };
            Some(if *washing_out {
                Ink::Washout(arm)
            } else {
                Ink::Arm(arm)
            })
        }
        Phase::Waiting | Phase::Done | Phase::Stopped { .. } => None,
    }
}

/// What the bands above the plots stand for.
pub(crate) fn legend() -> Markup {
    let keys = [
        (Ink::Arm(0), "control decides"),
        (Ink::Arm(1), "candidate decides"),
        (
            Ink::Washout(0),
            "washout of either, which counts for nothing",
        ),
    ];
    html! {
        p .note {
            "The band above each plot is the experiment: "
            @for (ink, label) in keys {
                span .key {
                    i .band style=(format!("background:{}", ink.value())) {}
                    @if ink == Ink::Washout(0) {
                        i .band style=(format!("background:{}", Ink::Washout(1).value())) {}
                    }
                    (label)
                } " "
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn each_turn_is_two_bands_and_nothing_follows_the_end() {
        let runs = fixture::tried(&fixture::spec());
        let series = &runs[0].outcome.tried.experiments[0];
        let bands = bands(series);
        assert_eq!(bands.len(), 48);
        let band = |from, to, ink| Band { from, to, ink };
        assert_eq!(bands[0], band(15.0, 120.0, Ink::Washout(0)));
        assert_eq!(bands[1], band(120.0, 315.0, Ink::Arm(0)));
        assert_eq!(bands[2], band(315.0, 420.0, Ink::Washout(1)));
        assert_eq!(bands[47].to, 7200.0);
        let mut over = series.clone();
        for (_, report) in over.ticks.iter_mut().skip(20) {
            report.phase = Phase::Done;
        }
        assert_eq!(super::bands(&over).last().unwrap().to, 315.0);
    }
}
