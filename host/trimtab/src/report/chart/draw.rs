//! The drawing of a plot: axes, marks, lines and level, from back to front.

use anyhow::{Result, anyhow};
use plotters::chart::ChartContext;
use plotters::coord::cartesian::Cartesian2d;
use plotters::prelude::{
    ChartBuilder, Circle, IntoDrawingArea as _, LineSeries, PathElement, Rectangle, SVGBackend,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, IntoFont as _, ShapeStyle, TextStyle};

use super::{Chart, Frame, Line};
use crate::report::axis::{Axis, Unit};
use crate::report::ink::Ink;

/// Width and height of a drawing, in its own units; the page scales it.
const SIZE: (u32, u32) = (640, 210);

/// Upper and lower edge of the bands above a plot.
const BANDS: (i32, i32) = (6, 14);

/// Where a plot begins that has bands above it.
const BELOW_BANDS: u32 = 20;

/// Where the lines of a plot are drawn.
type Canvas<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<Axis, Axis>>;

/// A plot as SVG.
pub(super) fn svg(chart: &Chart, frame: &Frame, vertical: Axis) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let time = Axis::time(frame.duration);
        let (bottom, top) = (vertical.low(), vertical.high());
        let mut canvas = ChartBuilder::on(&area)
            .margin_top(if frame.bands.is_empty() {
                8
            } else {
                BELOW_BANDS
            })
            .margin_right(48)
            .x_label_area_size(22)
            .y_label_area_size(58)
            .build_cartesian_2d(time.clone(), vertical)
            .map_err(unplottable)?;
        axes(&mut canvas, &time, chart.unit)?;
        for band in &frame.bands {
            let place = |at: f64| canvas.plotting_area().map_coordinate(&(at, bottom)).0;
            let corners = [(place(band.from), BANDS.0), (place(band.to), BANDS.1)];
            let filled = Rectangle::new(corners, band.ink.marker().filled());
            area.draw(&filled).map_err(unplottable)?;
        }
        for (at, ink) in &frame.marks {
            straight(&mut canvas, (*at, bottom), (*at, top), *ink, 1)?;
        }
        for line in chart.lines.iter().rev() {
            draw_line(&mut canvas, line)?;
        }
        if let Some(level) = &chart.objective {
            let (from, to) = ((0.0, level.value), (frame.duration, level.value));
            straight(&mut canvas, from, to, Ink::Objective, 2)?;
        }
        area.present().map_err(unplottable)?;
    }
    Ok(svg)
}

fn axes(canvas: &mut Canvas<'_, '_>, time: &Axis, unit: Unit) -> Result<()> {
    canvas
        .configure_mesh()
        .bold_line_style(Ink::Grid.marker().stroke_width(1))
        .axis_style(Ink::Grid.marker().stroke_width(1))
        .x_label_style(text(HPos::Center, VPos::Top))
        .y_label_style(text(HPos::Right, VPos::Center))
        .x_label_formatter(&|seconds| time.time_label(*seconds))
        .y_label_formatter(&|value| unit.label(*value))
        .draw()
        .map_err(unplottable)
}

fn draw_line(canvas: &mut Canvas<'_, '_>, line: &Line) -> Result<()> {
    let stroke = line.ink.marker().stroke_width(line.ink.width());
    for segment in &line.segments {
        let path = LineSeries::new(segment.iter().copied(), stroke);
        canvas.draw_series(path).map_err(unplottable)?;
    }
    // A line of one point has no length.
    let alone = line.segments.iter().filter(|segment| segment.len() == 1);
    let dot = ShapeStyle {
        filled: true,
        ..stroke
    };
    let dots = alone.flatten().map(|point| Circle::new(*point, 2, dot));
    canvas.draw_series(dots).map_err(unplottable)?;
    Ok(())
}

fn straight(
    canvas: &mut Canvas<'_, '_>,
    from: (f64, f64),
    to: (f64, f64),
    ink: Ink,
    width: u32,
) -> Result<()> {
    let path = PathElement::new(vec![from, to], ink.marker().stroke_width(width));
    canvas.draw_series([path]).map_err(unplottable)?;
    Ok(())
}

fn text(horizontal: HPos, vertical: VPos) -> TextStyle<'static> {
    let color = Ink::Text.marker().to_backend_color();
    let pos = Pos::new(horizontal, vertical);
    TextStyle {
        font: ("sans-serif", 15).into_font(),
        color,
        pos,
    }
}

/// The library's errors borrow from its back end; their text is all that can be kept.
fn unplottable(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("cannot draw a plot: {error}")
}
