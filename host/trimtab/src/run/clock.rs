//! The one place that reads clocks; everything else is told the time.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Milliseconds since the Unix epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "the binary reads the clock, here"
)]
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Milliseconds since the Unix epoch as the clock on the wall had it when this was first asked, and
/// since then by a clock that nobody sets.
pub(super) fn steady_ms() -> u64 {
    static BEGIN: OnceLock<(Stopwatch, u64)> = OnceLock::new();
    let (begin, wall_ms) = BEGIN.get_or_init(|| (Stopwatch::start(), now_ms()));
    let since = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    wall_ms.saturating_add(since)
}

/// Measures spans, whatever happens to the clock on the wall.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch(Instant);

impl Stopwatch {
    #[expect(
        clippy::disallowed_methods,
        reason = "the binary reads the clock, here"
    )]
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }

    pub(super) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }

    /// Seconds since the last lap, and starts the next.
    pub(super) fn lap(&mut self) -> f64 {
        let seconds = self.0.elapsed().as_secs_f64();
        *self = Self::start();
        seconds
    }
}
