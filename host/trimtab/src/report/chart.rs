//! Draws one plot over the time of a run as SVG, and sets it in the page with title and legend.

mod draw;

use anyhow::Result;
use maud::{Markup, PreEscaped, html};

use super::arms::Band;
use super::axis::{Axis, Unit};
use super::ink::Ink;
use super::series::Segments;

/// A plot over the time of a run.
pub(crate) struct Chart {
    pub(crate) title: String,
    /// What the vertical axis counts, e.g. "requests per second".
    pub(crate) counts: String,
    pub(crate) unit: Unit,
    pub(crate) range: Span,
    /// In the legend's order; the first lies on top of the others.
    pub(crate) lines: Vec<Line>,
    /// A level to stay below, or above where shares are shown.
    pub(crate) objective: Option<Objective>,
}

/// What the vertical axis spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    FromZero,
    /// From zero, or logarithmic where the largest value would flatten all that matters.
    Latency,
    UpToOne,
}

/// One line of a plot.
pub(crate) struct Line {
    /// Empty where another line's label stands for it.
    pub(crate) label: String,
    pub(crate) ink: Ink,
    pub(crate) segments: Segments,
}

/// A level drawn across a plot.
pub(crate) struct Objective {
    pub(crate) label: String,
    pub(crate) value: f64,
}

/// What all plots of a section share, so that one can be read against another.
pub(crate) struct Frame {
    /// Of the whole run, in seconds, until the last request was served.
    pub(crate) duration: f64,
    /// Seconds for which requests arrive.
    pub(crate) arriving: f64,
    /// Instants at which something went wrong or was changed, in seconds from the start.
    pub(crate) marks: Vec<(f64, Ink)>,
    /// Whose turn it was, above each plot.
    pub(crate) bands: Vec<Band>,
}

impl Chart {
    /// The plot with its title and legend.
    pub(crate) fn figure(&self, frame: &Frame) -> Result<Markup> {
        let vertical = self.vertical();
        let svg = draw::svg(self, frame, vertical.axis)?;
        Ok(html! {
            figure {
                figcaption {
                    strong { (self.title) }
                    span .unit { (self.counts) @if vertical.logarithmic { ", logarithmic" } }
                    span .legend { (self.legend()) }
                }
                div .plot tabindex="0" role="img" aria-label=(format!("{}, {} over time", self.title, self.counts)) {
                    (PreEscaped(svg))
                }
            }
        })
    }

    /// A line alone needs no name: the title says what it is.
    fn legend(&self) -> Markup {
        let level = self.objective.iter();
        let level = level.map(|level| (Ink::Objective, level.label.as_str()));
        let lines = self
            .lines
            .iter()
            .map(|line| (line.ink, line.label.as_str()));
        let keys = lines.chain(level).filter(|(_, label)| !label.is_empty());
        let alone = self.lines.len() == 1 && self.objective.is_none();
        html! {
            @for (ink, label) in keys.filter(|_| !alone) {
                span .key {
                    i .dashed[ink.is_dashed()] style=(format!("border-color:{}", ink.value())) {}
                    (label)
                }
            }
        }
    }

    fn vertical(&self) -> Vertical {
        let values = || {
            self.lines
                .iter()
                .flat_map(|line| line.segments.iter().flatten())
        };
        let largest = values().map(|(_, value)| *value).fold(0.0, f64::max);
        let smallest = values()
            .map(|(_, value)| *value)
            .fold(f64::INFINITY, f64::min);
        let level = self.objective.as_ref().map(|objective| objective.value);
        let top = level.map_or(largest, |level| largest.max(level)) * 1.04;
        // A line that hugs its plot's floor cannot be read.
        let flattened = level.is_some_and(|level| largest > 4.0 * level);
        match self.range {
            Span::UpToOne => {
                let low = level.map_or(smallest, |level| smallest.min(level - 0.01));
                Vertical {
                    axis: Axis::up_to_one(low.clamp(0.0, 1.0)),
                    logarithmic: false,
                }
            }
            Span::Latency if flattened && smallest > 0.0 => Vertical {
                axis: Axis::logarithmic(smallest, top),
                logarithmic: true,
            },
            Span::Latency | Span::FromZero => Vertical {
                axis: Axis::from_zero(top, self.unit),
                logarithmic: false,
            },
        }
    }
}

struct Vertical {
    axis: Axis,
    logarithmic: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(segments: Segments) -> Chart {
        Chart {
            title: "Time to first token".to_owned(),
            counts: "percentiles".to_owned(),
            unit: Unit::Seconds,
            range: Span::Latency,
            lines: vec![Line {
                label: "p99".to_owned(),
                ink: Ink::Percentile(2),
                segments,
            }],
            objective: Some(Objective {
                label: "objective".to_owned(),
                value: 1.0,
            }),
        }
    }

    fn figure(segments: Segments) -> String {
        let frame = Frame {
            duration: 600.0,
            arriving: 600.0,
            marks: Vec::new(),
            bands: Vec::new(),
        };
        latency(segments).figure(&frame).unwrap().into_string()
    }

    #[test]
    fn a_spike_makes_latency_logarithmic() {
        assert!(figure(vec![vec![(0.0, 0.1), (60.0, 30.0)]]).contains("logarithmic"));
        assert!(!figure(vec![vec![(0.0, 0.1), (60.0, 2.0)]]).contains("logarithmic"));
    }

    #[test]
    fn a_point_alone_is_a_dot() {
        let drawn = figure(vec![vec![(0.0, 0.1), (60.0, 0.2)], vec![(300.0, 0.1)]]);
        assert_eq!(drawn.matches("<circle").count(), 1);
    }

    #[test]
    fn bands_stand_above_the_lines() {
        let frame = Frame {
            duration: 600.0,
            arriving: 600.0,
            marks: Vec::new(),
            bands: vec![Band {
                from: 0.0,
                to: 300.0,
                ink: Ink::Arm(1),
            }],
        };
        let chart = latency(vec![vec![(0.0, 0.1), (60.0, 0.2)]]);
        let drawn = chart.figure(&frame).unwrap().into_string();
        // Half of the plot's 534 units of width, above the axis that begins at 20.
        let expected = r##"<rect x="58" y="6" width="267" height="8""##;
        assert!(drawn.contains(expected), "{drawn}");
    }

    #[test]
    fn an_objective_shows_though_nothing_was_measured() {
        let drawn = figure(Segments::new());
        assert!(
            drawn.contains("objective") && drawn.contains("1 s"),
            "{drawn}"
        );
    }
}
