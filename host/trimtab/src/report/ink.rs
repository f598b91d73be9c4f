//! Colours of the report, each with a light and a dark form.
//!
//! The plotting library writes fixed colours. So each ink is drawn in a near-black marker colour
//! that nothing else uses, and the page's style sheet turns the marker into the theme's colour.

use std::fmt::Write as _;

use plotters::style::RGBColor;

/// What a mark on a plot stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    Text,
    Grid,
    Objective,
    /// Something that the scenario lets go wrong.
    Mishap,
    /// Other policies from here on.
    Swap,
    /// What the fleet is given, whoever decides.
    Arrivals,
    /// 0, 1, 2: the 50th, 95th and 99th percentile, in shades of the first run's colour.
    Percentile(usize),
    /// By position among the runs.
    Run(usize),
    /// By position in the pool: replicas that serve.
    Variant(usize),
    /// By position in the pool: replicas asked for, the same colour dashed.
    Asked(usize),
    /// By position in the pool: what a shadow would have asked for.
    Shadow(usize),
    /// 0 and 1: the turn of an experiment's control and candidate.
    Arm(usize),
    /// The same while it counts for nothing, in a paler colour.
    Washout(usize),
}

/// Light and dark form of a colour.
type Pair = (&'static str, &'static str);

const TEXT: Pair = ("#3c4450", "#b4bcc8");
const GRID: Pair = ("#e3e6ea", "#2c323a");
const OBJECTIVE: Pair = ("#b3312c", "#f0716b");
const MISHAP: Pair = ("#b9742f", "#c98a4a");
const SWAP: Pair = ("#171b21", "#e8ebef");
const ARRIVALS: Pair = ("#5c6673", "#9aa4b2");
const PERCENTILES: [Pair; 3] = [
    ("#9cc3f7", "#3768ad"),
    ("#4b8be8", "#5796ee"),
    ("#123f85", "#c4dcff"),
];
const RUNS: [Pair; 5] = [
    ("#2a6fdb", "#5b9bff"),
    ("#8a9099", "#8d95a1"),
    ("#d9601a", "#f08a4b"),
    ("#1d8f5a", "#3fc48a"),
    ("#8a5a3c", "#c99573"),
];
const VARIANTS: [Pair; 8] = [
    ("#7446c9", "#a68bff"),
    ("#0f8f9c", "#3cc4d1"),
    ("#c08400", "#e3a92f"),
    ("#c2387f", "#f072b0"),
    ("#6a7f1f", "#a9c04a"),
    ("#35508f", "#8aa4e8"),
    ("#8a5a3c", "#c99573"),
    ("#4f7a6b", "#86bfa9"),
];

const SHADOWS: [Pair; 4] = [
    ("#c2387f", "#f072b0"),
    ("#0f8f9c", "#3cc4d1"),
    ("#c08400", "#e3a92f"),
    ("#6a7f1f", "#a9c04a"),
];
const ARMS: [Pair; 2] = [("#8a9099", "#8d95a1"), ("#d9601a", "#f08a4b")];
const WASHOUTS: [Pair; 2] = [("#d9dce0", "#3d434b"), ("#f7d3bd", "#6e4630")];

impl Ink {
    /// The marker that stands for this ink in a drawing.
    pub(crate) fn marker(self) -> RGBColor {
        let (kind, position) = self.place();
        RGBColor(kind, u8::try_from(position).unwrap_or(u8::MAX), 0x10)
    }

    /// The style sheet's value for this ink, for use outside of a drawing.
    pub(crate) fn value(self) -> String {
        format!("var(--{})", self.variable())
    }

    pub(crate) fn is_dashed(self) -> bool {
        matches!(
            self,
            Self::Asked(_) | Self::Objective | Self::Mishap | Self::Swap | Self::Shadow(_)
        )
    }

    /// Of a line. What was only thought of is drawn thinner than what was done.
    pub(crate) fn width(self) -> u32 {
        if matches!(self, Self::Shadow(_)) {
            1
        } else {
            2
        }
    }

    fn place(self) -> (u8, usize) {
        match self {
            Self::Text => (1, 0),
            Self::Grid => (2, 0),
            Self::Objective => (3, 0),
            Self::Arrivals => (4, 0),
            Self::Percentile(position) => (5, position % PERCENTILES.len()),
            Self::Run(position) => (6, position % RUNS.len()),
            Self::Variant(position) => (7, position % VARIANTS.len()),
            Self::Asked(position) => (8, position % VARIANTS.len()),
            Self::Mishap => (9, 0),
            Self::Swap => (10, 0),
            Self::Shadow(position) => (11, position % SHADOWS.len()),
            Self::Arm(position) => (12, position % ARMS.len()),
            Self::Washout(position) => (13, position % WASHOUTS.len()),
        }
    }

    fn variable(self) -> String {
        let (_, position) = self.place();
        match self {
            Self::Text => "text".to_owned(),
            Self::Grid => "grid".to_owned(),
            Self::Objective => "objective".to_owned(),
            Self::Mishap => "mishap".to_owned(),
            Self::Swap => "swap".to_owned(),
            Self::Arrivals => "arrivals".to_owned(),
            Self::Percentile(_) => format!("percentile-{position}"),
            Self::Run(_) => format!("run-{position}"),
            Self::Shadow(_) => format!("shadow-{position}"),
            Self::Arm(_) => format!("arm-{position}"),
            Self::Washout(_) => format!("washout-{position}"),
            Self::Variant(_) | Self::Asked(_) => format!("variant-{position}"),
        }
    }

    fn all() -> impl Iterator<Item = (Self, Pair)> {
        let single = [
            (Self::Text, TEXT),
            (Self::Grid, GRID),
            (Self::Objective, OBJECTIVE),
            (Self::Mishap, MISHAP),
            (Self::Swap, SWAP),
            (Self::Arrivals, ARRIVALS),
        ];
        single
            .into_iter()
            .chain(numbered(&PERCENTILES, Self::Percentile))
            .chain(numbered(&RUNS, Self::Run))
            .chain(numbered(&VARIANTS, Self::Variant))
            .chain(numbered(&VARIANTS, Self::Asked))
            .chain(numbered(&SHADOWS, Self::Shadow))
            .chain(numbered(&ARMS, Self::Arm))
            .chain(numbered(&WASHOUTS, Self::Washout))
    }
}

fn numbered(pairs: &'static [Pair], ink: fn(usize) -> Ink) -> impl Iterator<Item = (Ink, Pair)> {
    pairs
        .iter()
        .enumerate()
        .map(move |(position, pair)| (ink(position), *pair))
}

/// The part of the style sheet that gives every ink its colours.
pub(crate) fn stylesheet() -> String {
    let (mut light, mut dark, mut rules) = (String::new(), String::new(), String::new());
    for (ink, (on_light, on_dark)) in Ink::all() {
        let variable = ink.variable();
        // Writing to a string cannot fail.
        let _ = write!(light, "--{variable}:{on_light};");
        let _ = write!(dark, "--{variable}:{on_dark};");
        let RGBColor(red, green, blue) = ink.marker();
        let marker = format!("#{red:02X}{green:02X}{blue:02X}");
        let value = ink.value();
        let dash = if ink.is_dashed() {
            ";stroke-dasharray:6 4"
        } else {
            ""
        };
        let _ = write!(rules, "svg [stroke=\"{marker}\"]{{stroke:{value}{dash}}}");
        let _ = writeln!(rules, "svg [fill=\"{marker}\"]{{fill:{value}}}");
    }
    format!(":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n{rules}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_inks_share_a_marker() {
        let markers: BTreeSet<_> = Ink::all().map(|(ink, _)| ink.place()).collect();
        assert_eq!(markers.len(), Ink::all().count());
    }

    #[test]
    fn asked_and_serving_share_a_colour() {
        assert_eq!(Ink::Asked(1).value(), Ink::Variant(1).value());
        assert_ne!(Ink::Asked(1).marker(), Ink::Variant(1).marker());
    }

    #[test]
    fn colours_come_round_after_the_last() {
        assert_eq!(Ink::Variant(8).marker(), Ink::Variant(0).marker());
    }
}
