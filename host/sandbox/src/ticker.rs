//! The one owner of an engine's epoch: a thread that advances it, so that a call whose deadline has
//! passed is interrupted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::Engine;

/// Time between two epochs: how late a deadline may be noticed. At this period the thread's wake-ups
/// take less than a thousandth of a core.
const PERIOD: Duration = Duration::from_millis(10);

/// Ticks until it is dropped.
pub(crate) struct Ticker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// # Errors
    /// Where the system gives no thread.
    pub(crate) fn start(engine: Engine) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("policy-epochs".into())
            .spawn(move || {
                while !stopped.load(Ordering::Acquire) {
                    // Returns early only where it was unparked, to stop, or spuriously: then an epoch is
                    // short, which ends a call at worst one period early.
                    thread::park_timeout(PERIOD);
                    engine.increment_epoch();
                }
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }

    /// Epochs after which a call of that length is over: rounded up, and one more for the epoch
    /// that has begun already.
    pub(crate) fn epochs(milliseconds: u64) -> u64 {
        let period = u64::try_from(PERIOD.as_millis()).unwrap_or(u64::MAX);
        milliseconds.div_ceil(period).saturating_add(1)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It cannot panic; and if it had, dropping would be the wrong place to pass that on.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_shorter_than_asked() {
        assert_eq!(Ticker::epochs(0), 1);
        assert_eq!(Ticker::epochs(1), 2);
        assert_eq!(Ticker::epochs(10), 2);
        assert_eq!(Ticker::epochs(11), 3);
        assert_eq!(Ticker::epochs(u64::MAX), u64::MAX.div_ceil(10) + 1);
    }

    #[test]
    fn dropping_it_ends_its_thread() {
        let ticker = Ticker::start(Engine::default()).unwrap();
        let stop = Arc::clone(&ticker.stop);
        drop(ticker);
        assert_eq!(
            Arc::strong_count(&stop),
            1,
            "the thread holds its flag still"
        );
    }
}
