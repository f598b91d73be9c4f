//! Scraped samples of one target, and windows over them.

use std::collections::VecDeque;

use crate::engine::Reading;

/// Scrapes of one replica.
pub(crate) type ReplicaSamples = Samples<Reading>;

/// Samples in order of time.
#[derive(Clone, Debug)]
pub(crate) struct Samples<T> {
    samples: VecDeque<(f64, T)>,
}

impl<T> Default for Samples<T> {
    fn default() -> Self {
        Self {
            samples: VecDeque::new(),
        }
    }
}

impl<T> Samples<T> {
    /// Drops what is older than the longest window that is read.
    pub(crate) fn push(&mut self, at: f64, sample: T, longest: f64) {
        while self
            .samples
            .front()
            .is_some_and(|(oldest, _)| *oldest <= at - longest)
        {
            self.samples.pop_front();
        }
        self.samples.push_back((at, sample));
    }

    /// Seconds since the last scrape.
    pub(crate) fn age(&self, now: f64) -> Option<f64> {
        self.samples.back().map(|(at, _)| now - at)
    }

    /// Samples of the last `window` seconds.
    pub(crate) fn within(
        &self,
        now: f64,
        window: f64,
    ) -> impl DoubleEndedIterator<Item = &(f64, T)> {
        self.samples
            .iter()
            .filter(move |(at, _)| *at > now - window)
    }

    pub(crate) fn latest(&self, now: f64, window: f64) -> Option<&T> {
        self.within(now, window)
            .next_back()
            .map(|(_, sample)| sample)
    }

    /// The first and the last sample of a window, with the seconds between them; a counter's rate
    /// needs two.
    pub(crate) fn ends(&self, now: f64, window: f64) -> Option<(&T, &T, f64)> {
        let mut within = self.within(now, window);
        let (first_at, first) = within.next()?;
        let (last_at, last) = within.next_back()?;
        Some((first, last, last_at - first_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_need_two_samples_in_the_window() {
        let mut samples = Samples::default();
        samples.push(10.0, 1, 300.0);
        assert!(samples.ends(20.0, 60.0).is_none());
        samples.push(25.0, 4, 300.0);
        assert_eq!(samples.ends(30.0, 60.0), Some((&1, &4, 15.0)));
        assert!(samples.ends(75.0, 60.0).is_none());
    }

    #[test]
    fn ages_grow_while_nothing_is_scraped() {
        let mut samples = Samples::default();
        assert_eq!(samples.age(5.0), None);
        samples.push(10.0, (), 300.0);
        assert_eq!(samples.age(100.0), Some(90.0));
        assert!(samples.latest(100.0, 60.0).is_none());
    }

    #[test]
    fn samples_older_than_every_window_are_dropped() {
        let mut samples = Samples::default();
        for scrape in 0..100 {
            samples.push(f64::from(scrape) * 15.0, scrape, 300.0);
        }
        assert_eq!(samples.samples.len(), 20);
    }
}
