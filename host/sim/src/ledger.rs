//! The fate of every request of a pool, and the pool's series; outcomes are made from these.

use trimtab_contract::Objective;

use crate::outcome::{PoolSample, PoolSeries, RequestCounts, VariantSeries};
use crate::quantile::percentiles;
use crate::spec::{Arrival, PoolSpec};

/// What became of one request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Fate {
    /// When its first token came, in seconds; that of the last attempt, where a replica died.
    first_token: Option<f64>,
    /// When its last token came.
    finished: Option<f64>,
    dropped: bool,
}

impl Fate {
    fn ttft(&self, arrival: &Arrival) -> Option<f64> {
        self.first_token.map(|at| at - arrival.at_seconds)
    }

    /// Mean time between its tokens; `None` for a single token, which no time lies between.
    fn itl(&self, arrival: &Arrival) -> Option<f64> {
        let gaps = arrival
            .output_tokens
            .checked_sub(1)
            .filter(|gaps| *gaps > 0)?;
        Some((self.finished? - self.first_token?) / f64::from(gaps))
    }

    fn met(&self, arrival: &Arrival, objective: &Objective) -> bool {
        let within = |bound: Option<f64>, value: Option<f64>| match (bound, value) {
            (Some(bound), Some(value)) => value <= bound,
            (None, _) | (_, None) => true,
        };
        self.finished.is_some()
            && within(objective.ttft, self.ttft(arrival))
            && within(objective.itl, self.itl(arrival))
    }
}

/// Totals over requests, of one pool or of several.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) requests: RequestCounts,
    pub(crate) met: u64,
    pub(crate) ttft: Vec<f64>,
    pub(crate) itl: Vec<f64>,
}

#[derive(Debug)]
pub(crate) struct Ledger<'a> {
    spec: &'a PoolSpec,
    fates: Vec<Fate>,
    /// Requests that have arrived: the first so many of the pool's.
    arrived: usize,
    /// Requests that have arrived and not ended.
    open: u64,
    last_activity: f64,
    interval: Interval,
    series: PoolSeries,
}

/// What came since the last sample.
#[derive(Debug, Default)]
struct Interval {
    since: f64,
    arrivals: u64,
    ttft: Vec<f64>,
    itl: Vec<f64>,
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(spec: &'a PoolSpec) -> Self {
        let variant = |name: &String| VariantSeries {
            variant: name.clone(),
            ..VariantSeries::default()
        };
        Self {
            spec,
            fates: vec![Fate::default(); spec.arrivals.len()],
            arrived: 0,
            open: 0,
            last_activity: 0.0,
            interval: Interval::default(),
            series: PoolSeries {
                pool: spec.name.clone(),
                variants: spec.variants.iter().map(|of| variant(&of.name)).collect(),
                samples: Vec::new(),
                attainment: None,
            },
        }
    }

    /// The request that arrives next, with its position.
    pub(crate) fn next_arrival(&self) -> Option<(u32, &'a Arrival)> {
        self.spec
            .arrivals
            .get(self.arrived)
            .map(|arrival| (self.arrived as u32, arrival))
    }

    pub(crate) fn arrive(&mut self) {
        self.arrived += 1;
        self.open += 1;
        self.interval.arrivals += 1;
    }

    /// A request arrives that the spec does not have: its position is the next one free.
    pub(crate) fn arrive_beyond_spec(&mut self) {
        self.fates.push(Fate::default());
        self.open += 1;
        self.interval.arrivals += 1;
    }

    /// Requests that have arrived and not ended.
    pub(crate) fn open(&self) -> u64 {
        self.open
    }

    /// Starts a new interval of which nothing is kept.
    pub(crate) fn forget_interval(&mut self) {
        self.interval = Interval::default();
    }

    /// Seconds since a request was last in the pool.
    pub(crate) fn idle_seconds(&self, now: f64) -> f64 {
        if self.open > 0 {
            0.0
        } else {
            now - self.last_activity
        }
    }

    /// No request is in the pool, and none will come.
    pub(crate) fn is_done(&self) -> bool {
        self.open == 0 && self.arrived == self.spec.arrivals.len()
    }

    /// Gives the time to first token.
    pub(crate) fn first_token(&mut self, now: f64, request: u32, arrival: &Arrival) -> Option<f64> {
        let fate = self.fates.get_mut(request as usize)?;
        fate.first_token = Some(now);
        let ttft = fate.ttft(arrival)?;
        self.interval.ttft.push(ttft);
        Some(ttft)
    }

    /// Gives the mean time between its tokens.
    pub(crate) fn finish(&mut self, now: f64, request: u32, arrival: &Arrival) -> Option<f64> {
        let fate = self.fates.get_mut(request as usize)?;
        fate.finished = Some(now);
        let itl = fate.itl(arrival);
        self.interval.itl.extend(itl);
        self.open -= 1;
        self.last_activity = now;
        itl
    }

    pub(crate) fn drop_request(&mut self, now: f64, request: u32) {
        if let Some(fate) = self.fates.get_mut(request as usize) {
            fate.dropped = true;
            self.open -= 1;
            self.last_activity = now;
        }
    }

    /// The replica of these died: they start again.
    pub(crate) fn restart(&mut self, requests: &[u32]) {
        for request in requests {
            if let Some(fate) = self.fates.get_mut(*request as usize) {
                fate.first_token = None;
            }
        }
    }

    /// Ends an interval; `counts` has what is asked for and what serves, by variant.
    pub(crate) fn sample(
        &mut self,
        now: f64,
        queued: u64,
        cost_per_hour: f64,
        counts: &[(u32, u32)],
    ) {
        let mut interval = std::mem::replace(
            &mut self.interval,
            Interval {
                since: now,
                ..Interval::default()
            },
        );
        let seconds = now - interval.since;
        self.series.samples.push(PoolSample {
            at_seconds: now,
            arrival_rate: if seconds > 0.0 {
                interval.arrivals as f64 / seconds
            } else {
                0.0
            },
            ttft_seconds: percentiles(&mut interval.ttft),
            itl_seconds: percentiles(&mut interval.itl),
            queued: queued as f64,
            cost_per_hour,
            met: 0,
            missed: 0,
        });
        for (series, (asked, serving)) in self.series.variants.iter_mut().zip(counts) {
            series.asked.push(*asked);
            series.serving.push(*serving);
        }
    }

    /// Closes the books: adds this pool to the totals, and gives its series.
    pub(crate) fn close(mut self, totals: &mut Totals) -> PoolSeries {
        let mut samples = self.series.samples.iter_mut().peekable();
        let mut of_pool = 0;
        for (fate, arrival) in self
            .fates
            .iter()
            .zip(&self.spec.arrivals)
            .take(self.arrived)
        {
            totals.requests.arrived += 1;
            totals.ttft.extend(fate.ttft(arrival));
            totals.itl.extend(fate.itl(arrival));
            let ended = fate.finished.is_some() || fate.dropped;
            let met = fate.met(arrival, &self.spec.objective);
            totals.requests.served += u64::from(fate.finished.is_some());
            totals.requests.dropped += u64::from(fate.dropped);
            totals.requests.unfinished += u64::from(!ended);
            of_pool += u64::from(met);
            while samples
                .next_if(|sample| sample.at_seconds < arrival.at_seconds)
                .is_some()
            {}
            if let Some(sample) = samples.peek_mut().filter(|_| ended) {
                sample.met += u64::from(met);
                sample.missed += u64::from(!met);
            }
        }
        totals.met += of_pool;
        self.series.attainment = (self.arrived > 0).then(|| of_pool as f64 / self.arrived as f64);
        self.series
    }
}
