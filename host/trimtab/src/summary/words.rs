//! What an experiment found and what a swap changed, in sentences that a person reads.

use trimtab_core::experiment::{Effect, Phase, Report};
use trimtab_core::policies::Digest;
use trimtab_sim::excerpt::excerpt;
use trimtab_sim::tried::{Deciding, PolicyVersion};

use crate::figures;

/// Pairs of slots below which an interval is not to be trusted: the approximation behind it is left
/// to luck.
const FEW_PAIRS: u32 = 10;

/// Characters of a digest that tell it from any other at a glance, `sha256:` among them.
const SHORT: usize = 19;

/// What an experiment found, in one sentence with its end, and what is to be known to read it.
pub(crate) fn finding(report: &Report) -> String {
    let (cost, attainment) = (&report.cost, &report.attainment);
    let mut text = match (cost.estimate, cost.interval) {
        (Some(estimate), Some(interval)) => {
            format!(
                "{}; {}.",
                of_cost(report, estimate, interval),
                of_attainment(attainment)
            )
        }
        _ => format!(
            "No difference can be told: there {} of slots, and it takes three.",
            match cost.pairs {
                0 => "is no complete pair".to_owned(),
                1 => "is 1 complete pair".to_owned(),
                pairs => format!("are {pairs} complete pairs"),
            }
        ),
    };
    match &report.phase {
        Phase::Stopped { arm, why } => {
            let slot = format!(" It was stopped in the {arm}'s turn: {why}.");
            text.push_str(&slot);
        }
        Phase::Waiting => text.push_str(" It had not begun."),
        Phase::Running { .. } => text.push_str(" It was not over when the run was."),
        Phase::Done => {}
    }
    if (3..FEW_PAIRS).contains(&cost.pairs) {
        text.push_str(" Intervals of fewer than ten pairs of slots are a rough guess.");
    }
    text
}

/// As a share of what the control cost, where that is something.
fn of_cost(report: &Report, estimate: f64, interval: [f64; 2]) -> String {
    let control = report.control.cost_per_hour.filter(|cost| *cost > 0.0);
    let (scale, unit) = control.map_or((1.0, " per hour"), |cost| (100.0 / cost, " %"));
    let difference = Difference {
        estimate: estimate * scale,
        interval: interval.map(|end| end * scale),
        unit,
    };
    if difference.is_told() {
        format!("At the same load the candidate cost {difference}")
    } else {
        format!("No difference in cost can be told ({})", difference.range())
    }
}

fn of_attainment(effect: &Effect) -> String {
    let (Some(estimate), Some(interval)) = (effect.estimate, effect.interval) else {
        return "attainment was measured in too few slots to compare".to_owned();
    };
    let difference = Difference {
        estimate: estimate * 100.0,
        interval: interval.map(|end| end * 100.0),
        unit: " points",
    };
    if difference.is_told() {
        format!("it attained {difference}")
    } else {
        format!(
            "no difference in attainment can be told ({})",
            difference.range()
        )
    }
}

/// Candidate less control.
struct Difference {
    estimate: f64,
    interval: [f64; 2],
    unit: &'static str,
}

impl Difference {
    /// Whether the interval leaves out zero.
    fn is_told(&self) -> bool {
        let [low, high] = self.interval;
        low > 0.0 || high < 0.0
    }

    fn range(&self) -> String {
        let unit = self.unit;
        let size = |end: f64| hundredths(end);
        let [low, high] = self.interval;
        if low > 0.0 {
            format!(
                "95 % interval {}{unit} to {}{unit} more",
                size(low),
                size(high)
            )
        } else if high < 0.0 {
            format!(
                "95 % interval {}{unit} to {}{unit} less",
                size(high),
                size(low)
            )
        } else {
            format!(
                "95 % interval {}{unit} less to {}{unit} more",
                size(low),
                size(high)
            )
        }
    }
}

/// `9.8 % less (95 % interval 7.1 % to 12.4 % less)`.
impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let direction = if self.estimate < 0.0 { "less" } else { "more" };
        let size = hundredths(self.estimate);
        write!(f, "{size}{} {direction} ({})", self.unit, self.range())
    }
}

/// The size of a number of per cent or points: more than two digits after the point say nothing.
fn hundredths(value: f64) -> String {
    figures::quantity((value.abs() * 100.0).round() / 100.0)
}

/// How policies differ from those before them, or from those that they are tried beside.
pub(crate) fn changes(before: &Deciding, after: &Deciding) -> String {
    let mut changes = Vec::new();
    if before.analyzers.len() == after.analyzers.len() {
        let analyzers = before.analyzers.iter().zip(&after.analyzers);
        changes.extend(analyzers.filter_map(|(before, after)| change(before, after)));
    } else {
        let named = |of: &[PolicyVersion]| of.iter().map(policy).collect::<Vec<_>>().join(" and ");
        let (before, after) = (named(&before.analyzers), named(&after.analyzers));
        changes.push(format!("{after} for {before}"));
    }
    if let (Some(before), Some(after)) = (&before.optimizer, &after.optimizer) {
        changes.extend(change(before, after));
    }
    if changes.is_empty() {
        changes.push("the same policies with the same settings".to_owned());
    }
    changes.join(", ")
}

fn change(before: &PolicyVersion, after: &PolicyVersion) -> Option<String> {
    if before.digest != after.digest {
        return Some(format!("{} for {}", policy(after), policy(before)));
    }
    let is_set_anew = before.settings != after.settings;
    is_set_anew.then(|| format!("other settings for {}", policy(after)))
}

/// All that decide together.
pub(crate) fn all(deciding: &Deciding) -> String {
    let policies = deciding.analyzers.iter().chain(&deciding.optimizer);
    policies.map(policy).collect::<Vec<_>>().join(", ")
}

/// `name 0.1.0 (sha256:0123456789ab…) with {"key":1}`, the last where there are settings.
fn policy(policy: &PolicyVersion) -> String {
    let digest = short(&policy.digest);
    let mut text = format!("{} {} ({digest})", policy.name, policy.version);
    if &*policy.settings != "{}" {
        text.push_str(&format!(" with {}", excerpt(&policy.settings)));
    }
    text
}

/// The beginning of a digest, with a sign that there is more.
pub(crate) fn short(digest: &Digest) -> String {
    match digest.0.get(..SHORT) {
        Some(short) if short.len() < digest.0.len() => format!("{short}…"),
        _ => digest.0.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trimtab_core::experiment::{Arm, ArmReport};

    fn effect(estimate: f64, interval: [f64; 2]) -> Effect {
        Effect {
            pairs: 12,
            estimate: Some(estimate),
            standard_error: Some(0.1),
            degrees_of_freedom: Some(10),
            interval: Some(interval),
        }
    }

    fn report(cost: Effect, attainment: Effect) -> Report {
        let arm = |cost| ArmReport {
            slots: 12,
            cost_per_hour: Some(cost),
            attainment: Some(0.99),
        };
        Report {
            phase: Phase::Done,
            control: arm(10.0),
            candidate: arm(9.02),
            cost,
            attainment,
        }
    }

    #[test]
    fn a_saving_is_told_as_a_share_of_what_the_control_cost() {
        let report = report(
            effect(-0.98, [-1.24, -0.71]),
            effect(-0.001, [-0.003, 0.001]),
        );
        assert_eq!(
            finding(&report),
            "At the same load the candidate cost 9.8 % less (95 % interval 7.1 % to 12.4 % less); no \
             difference in attainment can be told (95 % interval 0.3 points less to 0.1 points more)."
        );
    }

    #[test]
    fn what_covers_zero_is_no_difference() {
        let report = report(effect(0.1, [-0.2, 0.4]), effect(0.02, [0.01, 0.03]));
        assert_eq!(
            finding(&report),
            "No difference in cost can be told (95 % interval 2 % less to 4 % more); it attained 2 \
             points more (95 % interval 1 points to 3 points more)."
        );
    }

    #[test]
    fn too_few_pairs_tell_nothing_and_few_are_a_guess() {
        let mut few = report(Effect::default(), Effect::default());
        few.cost.pairs = 2;
        few.phase = Phase::Stopped {
            arm: Arm::Candidate,
            why: "attainment 0.7000 in slot 3 is below 0.8".to_owned(),
        };
        assert_eq!(
            finding(&few),
            "No difference can be told: there are 2 complete pairs of slots, and it takes three. It \
             was stopped in the candidate's turn: attainment 0.7000 in slot 3 is below 0.8."
        );
        let mut some = report(effect(-1.0, [-2.0, -0.5]), Effect::default());
        some.cost.pairs = 4;
        assert!(
            finding(&some).ends_with("rough guess."),
            "{}",
            finding(&some)
        );
        assert!(finding(&some).contains("too few slots to compare"));
    }

    fn version(name: &str, digest: &str, settings: &str) -> PolicyVersion {
        PolicyVersion {
            name: name.to_owned(),
            version: "1".to_owned(),
            digest: Digest(digest.to_owned()),
            settings: settings.into(),
        }
    }

    fn deciding(analyzers: &[PolicyVersion], optimizer: &PolicyVersion) -> Deciding {
        Deciding {
            analyzers: analyzers.to_vec(),
            optimizer: Some(optimizer.clone()),
        }
    }

    #[test]
    fn a_swap_names_what_changed_and_nothing_else() {
        let (one, two) = (
            version("a", "sha256:1", "{}"),
            version("b", "sha256:2", "{}"),
        );
        let (three, other) = (
            version("o", "sha256:3", "{}"),
            version("o", "sha256:3", "{\"x\":1}"),
        );
        let said = |before: Deciding, after: Deciding| changes(&before, &after);
        let before = || deciding(std::slice::from_ref(&one), &three);
        assert_eq!(
            said(before(), deciding(std::slice::from_ref(&two), &three)),
            "b 1 (sha256:2) for a 1 (sha256:1)"
        );
        assert_eq!(
            said(before(), deciding(std::slice::from_ref(&one), &other)),
            "other settings for o 1 (sha256:3) with {\"x\":1}"
        );
        assert_eq!(
            said(before(), deciding(&[one.clone(), two.clone()], &three)),
            "a 1 (sha256:1) and b 1 (sha256:2) for a 1 (sha256:1)"
        );
        assert_eq!(
            said(before(), before()),
            "the same policies with the same settings"
        );
    }

    #[test]
    fn long_digests_are_cut() {
        let digest = Digest(format!("sha256:{}", "5f".repeat(32)));
        assert_eq!(short(&digest), "sha256:5f5f5f5f5f5f…");
        assert_eq!(short(&Digest("sha256:5f".to_owned())), "sha256:5f");
    }
}
