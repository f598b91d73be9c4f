//! Lower bounds for the search: what the floors cost at least if replicas could be split.
#![expect(
    clippy::indexing_slicing,
    reason = "the search's inner loop; every index counts the problem's choices or bars"
)]

use crate::ask::Ask;
use crate::bars::Bars;

/// The relaxed problem for each depth of the search, that is, for what is left to choose once the
/// first variants of the order are fixed.
pub(crate) struct Bound {
    n_bars: usize,
    /// For each bar, the cheapest supply first.
    segments: Vec<Vec<Segment>>,
    /// For each depth, cost of the rest at its lower counts.
    base: Vec<f64>,
    /// For each depth, one for each bar.
    rests: Vec<Rest>,
}

/// Supply that comes at one price.
struct Segment {
    depth: usize,
    supply: f64,
    price: f64,
}

/// What the variants from a depth on supply to a bar.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rest {
    /// At their lower counts.
    pub(crate) least: f64,
    /// At what is asked for now.
    pub(crate) now: f64,
    /// At their upper counts.
    pub(crate) most: f64,
    /// One replica of the strongest.
    pub(crate) strongest: f64,
}

impl Bound {
    /// `order` holds positions in the problem's choices, the first to be fixed first.
    pub(crate) fn new(ask: &Ask, bars: &Bars, order: &[usize]) -> Self {
        let n_bars = bars.len();
        let mut bound = Self {
            n_bars,
            segments: (0..n_bars)
                .map(|_| Vec::with_capacity(2 * order.len()))
                .collect(),
            base: vec![0.0; order.len() + 1],
            rests: vec![Rest::default(); (order.len() + 1) * n_bars],
        };
        for (depth, position) in order.iter().enumerate().rev() {
            bound.add(ask, bars, depth, *position);
        }
        for segments in &mut bound.segments {
            segments.sort_unstable_by(|one, other| {
                one.price
                    .total_cmp(&other.price)
                    .then(one.depth.cmp(&other.depth))
            });
        }
        bound
    }

    fn add(&mut self, ask: &Ask, bars: &Bars, depth: usize, position: usize) {
        let choice = &ask.problem.choices[position];
        let (low, high) = (ask.lower[position], ask.upper[position]);
        self.base[depth] = self.base[depth + 1] + ask.scale.cost(choice, low);
        for (bar, supply) in bars.supply(position).iter().copied().enumerate() {
            let later = self.rests[(depth + 1) * self.n_bars + bar];
            self.rests[depth * self.n_bars + bar] = Rest {
                least: later.least + supply * f64::from(low),
                now: later.now + supply * f64::from(choice.start),
                most: later.most + supply * f64::from(high),
                strongest: later.strongest.max(supply),
            };
            for (width, cost) in [
                (choice.start - low, ask.scale.below(choice)),
                (high - choice.start, ask.scale.above(choice)),
            ] {
                if width > 0 && supply > 0.0 {
                    let segment = Segment {
                        depth,
                        supply: supply * f64::from(width),
                        price: cost / supply,
                    };
                    self.segments[bar].push(segment);
                }
            }
        }
    }

    /// One for each bar.
    pub(crate) fn rest(&self, depth: usize) -> &[Rest] {
        &self.rests[depth * self.n_bars..(depth + 1) * self.n_bars]
    }

    /// Least that the variants from `depth` on cost while they supply what is `missing`.
    pub(crate) fn cost(&self, depth: usize, missing: &[f64]) -> f64 {
        let dearest = (0..self.n_bars)
            .map(|bar| self.fill(bar, depth, missing[bar]))
            .fold(0.0, f64::max);
        self.base[depth] + dearest
    }

    /// Supply, beyond its lower count, of the variant at `depth` in the relaxed optimum of the only
    /// bar.
    pub(crate) fn share(&self, depth: usize, missing: f64) -> f64 {
        let mut needed = missing - self.rest(depth)[0].least;
        let mut share = 0.0;
        for segment in self.segments[0]
            .iter()
            .filter(|segment| segment.depth >= depth)
        {
            if needed <= 0.0 {
                break;
            }
            share += if segment.depth == depth {
                segment.supply.min(needed)
            } else {
                0.0
            };
            needed -= segment.supply;
        }
        share
    }

    /// Cost of what is missing in one bar, from the cheapest segments from `depth` on.
    fn fill(&self, bar: usize, depth: usize, missing: f64) -> f64 {
        let mut needed = missing - self.rest(depth)[bar].least;
        let mut cost = 0.0;
        for segment in &self.segments[bar] {
            if needed <= 0.0 {
                break;
            }
            if segment.depth >= depth {
                cost += segment.price * segment.supply.min(needed);
                needed -= segment.supply;
            }
        }
        cost
    }
}
