//! Searches side by side on all cores, with one line of progress.

use std::panic;
use std::sync::mpsc;
use std::thread;

use rayon::prelude::*;

/// Tells that one simulation is done.
pub(super) type Done = mpsc::Sender<()>;

/// Runs `work` on every job and gives the answers in the jobs' order.
///
/// How many simulations a search takes is not known before; each takes the bar the same share of
/// the rest of its way, which `expected` simulations go most of.
pub(super) fn all<J: Sync, A: Send>(
    jobs: &[J],
    expected: usize,
    progress: &mut dyn FnMut(f64),
    work: impl Fn(&J, &Done) -> A + Send + Sync,
) -> Vec<A> {
    let (done, finished) = mpsc::channel();
    thread::scope(|scope| {
        let answers = scope.spawn(move || {
            // A channel's sender is cloned before its job and dropped after it.
            let with_sender: Vec<(&J, Done)> = jobs.iter().map(|job| (job, done.clone())).collect();
            drop(done);
            with_sender
                .into_par_iter()
                .map(|(job, done)| work(job, &done))
                .collect()
        });
        let mut left = 1.0;
        for () in finished {
            left *= 1.0 - 2.0 / expected.max(2) as f64;
            progress(1.0 - left);
        }
        answers
            .join()
            .unwrap_or_else(|panicked| panic::resume_unwind(panicked))
    })
}
