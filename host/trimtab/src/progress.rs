//! A bar for each run, on standard error and only where that is a terminal.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Steps of a bar: more than a terminal is wide.
const STEPS: u64 = 1000;

/// The bars of a simulation.
pub(crate) struct Bars {
    all: MultiProgress,
    style: ProgressStyle,
}

/// The bar of one run. It goes away with the run.
pub(crate) struct Bar(ProgressBar);

impl Bars {
    pub(crate) fn new() -> Self {
        let style =
            ProgressStyle::with_template("{prefix:>8} {wide_bar} {percent:>3} % {elapsed:>4}");
        Self {
            // Hidden by the library where standard error is no terminal.
            all: MultiProgress::new(),
            style: style.unwrap_or_else(|_| ProgressStyle::default_bar()),
        }
    }

    pub(crate) fn bar(&self, name: &str) -> Bar {
        let bar = ProgressBar::new(STEPS).with_style(self.style.clone());
        Bar(self.all.add(bar.with_prefix(name.to_owned())))
    }
}

impl Bar {
    /// Shows that this share of the run, in 0..=1, is done.
    pub(crate) fn show(&self, done: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to STEPS"
        )]
        let step = (done.clamp(0.0, 1.0) * STEPS as f64) as u64;
        self.0.set_position(step);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
