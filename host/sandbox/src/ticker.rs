//! The one owner of an engine's epoch: a thread that advances it while calls run, so that one whose
//! deadline has passed is interrupted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::Engine;

/// Time between two epochs: how late a deadline may be noticed.
const PERIOD: Duration = Duration::from_millis(10);

/// Ticks while calls run, until it is dropped.
pub(crate) struct Ticker {
    clock: Arc<Clock>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Clock {
    calls: AtomicUsize,
    /// Whether the thread waits for a call.
    idle: AtomicBool,
    stop: AtomicBool,
}

/// A call that may be interrupted.
pub(crate) struct Running(Arc<Clock>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Ticker {
    /// # Errors
    /// Where the system gives no thread.
    pub(crate) fn start(engine: Engine) -> io::Result<Self> {
        let clock = Arc::new(Clock::default());
        let of_thread = Arc::clone(&clock);
        let thread = thread::Builder::new()
            .name("policy-epochs".into())
            .spawn(move || of_thread.run(&engine))?;
        Ok(Self {
            clock,
            thread: Some(thread),
        })
    }

    /// To be kept as long as a call runs.
    pub(crate) fn running(&self) -> Running {
        self.clock.calls.fetch_add(1, Ordering::SeqCst);
        if let Some(thread) = self.thread.as_ref().map(JoinHandle::thread)
            && self.clock.idle.load(Ordering::SeqCst)
        {
            thread.unpark();
        }
        Running(Arc::clone(&self.clock))
    }

    /// Epochs after which a call of that length is over: rounded up, and one more for the epoch
    /// that has begun already.
    pub(crate) fn epochs(milliseconds: u64) -> u64 {
        let period = u64::try_from(PERIOD.as_millis()).unwrap_or(u64::MAX);
        milliseconds.div_ceil(period).saturating_add(1)
    }
}

impl Clock {
    fn run(&self, engine: &Engine) {
        let waits = || self.calls.load(Ordering::SeqCst) == 0 && !self.stop.load(Ordering::SeqCst);
        while !self.stop.load(Ordering::SeqCst) {
            if waits() {
                self.idle.store(true, Ordering::SeqCst);
                // A call that began since has seen that, or is seen now.
                if waits() {
                    thread::park();
                }
                self.idle.store(false, Ordering::SeqCst);
            } else {
                // Returns early where a wake-up was left over: then an epoch is short, which ends a
                // call at worst one period early.
                thread::park_timeout(PERIOD);
                engine.increment_epoch();
            }
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.clock.stop.store(true, Ordering::SeqCst);
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
        let clock = Arc::clone(&ticker.clock);
        drop(ticker);
        assert_eq!(
            Arc::strong_count(&clock),
            1,
            "the thread holds its clock still"
        );
    }

    #[test]
    fn it_rests_while_no_call_runs() {
        let ticker = Ticker::start(Engine::default()).unwrap();
        let rests = || ticker.clock.idle.load(Ordering::SeqCst);
        let becomes = |wanted: bool| {
            let looks = (0..1_000).any(|_| {
                thread::park_timeout(PERIOD);
                rests() == wanted
            });
            assert!(looks, "it rests: {}", rests());
        };
        for _ in 0..3 {
            becomes(true);
            let running = ticker.running();
            becomes(false);
            drop(running);
        }
    }
}
