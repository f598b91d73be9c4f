//! Draws one plot over the time of a run as SVG, and sets it in the page with title and legend.

use anyhow::{Result, anyhow};
use maud::{Markup, PreEscaped, html};
use plotters::prelude::{
    ChartBuilder, Circle, IntoDrawingArea as _, LineSeries, PathElement, SVGBackend,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, IntoFont as _, ShapeStyle, TextStyle};

use super::axis::{Axis, Unit};
use super::ink::Ink;
use super::series::Segments;

/// Width and height of a drawing, in its own units; the page scales it.
const SIZE: (u32, u32) = (640, 210);

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
    /// Instants at which something went wrong, in seconds from the start.
    pub(crate) marks: Vec<f64>,
}

impl Chart {
    /// The plot with its title and legend.
    pub(crate) fn figure(&self, frame: &Frame) -> Result<Markup> {
        let vertical = self.vertical();
        let svg = self.draw(frame, vertical.axis)?;
        Ok(html! {
            figure {
                figcaption {
                    strong { (self.title) }
                    span .unit { (self.counts) @if vertical.logarithmic { ", logarithmic" } }
                    span .legend { (self.legend()) }
                }
                div .plot role="img" aria-label=(format!("{}, {} over time", self.title, self.counts)) {
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

    fn draw(&self, frame: &Frame, vertical: Axis) -> Result<String> {
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            let time = Axis::time(frame.duration);
            let labels = time.clone();
            let (bottom, top) = (vertical.low(), vertical.high());
            let mut chart = ChartBuilder::on(&area)
                .margin_top(8)
                .margin_right(26)
                .x_label_area_size(22)
                .y_label_area_size(58)
                .build_cartesian_2d(time, vertical)
                .map_err(unplottable)?;
            chart
                .configure_mesh()
                .bold_line_style(Ink::Grid.marker().stroke_width(1))
                .axis_style(Ink::Grid.marker().stroke_width(1))
                .x_label_style(text(HPos::Center, VPos::Top))
                .y_label_style(text(HPos::Right, VPos::Center))
                .x_label_formatter(&|seconds| labels.time_label(*seconds))
                .y_label_formatter(&|value| self.unit.label(*value))
                .draw()
                .map_err(unplottable)?;
            for at in &frame.marks {
                let upright = vec![(*at, bottom), (*at, top)];
                let mark = PathElement::new(upright, Ink::Mishap.marker().stroke_width(1));
                chart.draw_series([mark]).map_err(unplottable)?;
            }
            for line in self.lines.iter().rev() {
                let stroke = line.ink.marker().stroke_width(2);
                for segment in &line.segments {
                    let points = segment.iter().copied();
                    chart
                        .draw_series(LineSeries::new(points, stroke))
                        .map_err(unplottable)?;
                }
                // A line of one point has no length; it is drawn as a dot.
                let alone = line
                    .segments
                    .iter()
                    .filter(|segment| segment.len() == 1)
                    .flatten();
                let dot = ShapeStyle {
                    filled: true,
                    ..stroke
                };
                let dots = alone.map(|point| Circle::new(*point, 2, dot));
                chart.draw_series(dots).map_err(unplottable)?;
            }
            if let Some(level) = &self.objective {
                let across = vec![(0.0, level.value), (frame.duration, level.value)];
                let line = PathElement::new(across, Ink::Objective.marker().stroke_width(2));
                chart.draw_series([line]).map_err(unplottable)?;
            }
            area.present().map_err(unplottable)?;
        }
        Ok(svg)
    }
}

struct Vertical {
    axis: Axis,
    logarithmic: bool,
}

fn text(horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    let color = Ink::Text.marker().to_backend_color();
    TextStyle {
        font: ("sans-serif", 15).into_font(),
        color,
        pos: Pos::new(horizontal, vertical),
    }
}

/// The library's errors borrow from its back end; their text is all that can be kept.
fn unplottable(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw a plot: {error}")
}
