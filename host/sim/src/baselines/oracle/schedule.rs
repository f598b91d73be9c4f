//! Which mix of replicas to have when, over a whole run: the least cost, start-ups included.

use crate::mix::{Kind, Limits, cheapest, simplest};

/// Replicas of the cheapest kind that a mix may have less than would be needed of it alone: the
/// rest, which is a fraction of a replica mostly, goes to other kinds.
const MOST_EXCHANGED: u32 = 2;

/// What a stage needs, and of what it may be made.
pub(super) struct Stage<'a> {
    /// Their shares are capacities in replicas of the cheapest kind.
    pub(super) kinds: Vec<Kind>,
    /// Position of the kind that is cheapest per capacity.
    pub(super) cheapest: usize,
    pub(super) limits: Limits<'a>,
    /// In replicas of the cheapest kind, tick by tick.
    pub(super) needs: Vec<f64>,
    /// From asking for a replica until it serves.
    pub(super) lead_ticks: usize,
}

/// Ticks in a row with the same need.
struct Segment {
    need: f64,
    ticks: usize,
}

/// A mix in the search: what it costs in a tick, and the least that a run costs that has it in
/// the segment at hand, with the choice before.
#[derive(Clone)]
struct Choice {
    mix: usize,
    cost: f64,
    before: usize,
}

impl Stage<'_> {
    /// Counts by kind, tick by tick.
    ///
    /// Each tick's need is the most from then until a replica that is asked for a tick later
    /// serves: so growth is asked for early enough, and nothing is given back that could not be
    /// there again in time. Among the mixes that meet each need, dynamic programming finds the
    /// cheapest sequence. Where one kind replaces another, both are paid for during the start-up.
    pub(super) fn counts(&self) -> Vec<Vec<u32>> {
        let segments = self.segments();
        let mixes = self.mixes(&segments);
        let chosen = self.cheapest_sequence(&segments, &mixes);
        let mut counts: Vec<Vec<u32>> = Vec::with_capacity(self.needs.len());
        // By kind: what is kept until its replacement serves, and until which tick.
        let mut kept: Vec<(u32, usize)> = vec![(0, 0); self.kinds.len()];
        let mut before: Option<&Vec<u32>> = None;
        for (segment, mix) in segments
            .iter()
            .zip(chosen.iter().filter_map(|mix| mixes.get(*mix)))
        {
            let start = counts.len();
            if before.is_some_and(|before| mix.iter().zip(before).any(|(new, old)| new > old)) {
                let held = counts.last().cloned().unwrap_or_default();
                for (keep, held) in kept.iter_mut().zip(held) {
                    *keep = (held, start + self.lead_ticks);
                }
            }
            counts.extend((start..start + segment.ticks).map(|tick| {
                let kept = kept
                    .iter()
                    .map(|(count, until)| if tick < *until { *count } else { 0 });
                mix.iter()
                    .zip(kept)
                    .map(|(count, kept)| kept.max(*count))
                    .collect()
            }));
            before = Some(mix);
        }
        counts
    }

    fn segments(&self) -> Vec<Segment> {
        let mut segments: Vec<Segment> = Vec::new();
        for tick in 0..self.needs.len() {
            let ahead = self.needs.iter().skip(tick).take(self.lead_ticks + 1);
            let need = ahead.copied().fold(0.0, f64::max);
            match segments.last_mut() {
                Some(last) if last.need == need => last.ticks += 1,
                _ => segments.push(Segment { need, ticks: 1 }),
            }
        }
        segments
    }

    /// Every mix that comes into question for some segment, each once.
    fn mixes(&self, segments: &[Segment]) -> Vec<Vec<u32>> {
        let mut mixes: Vec<Vec<u32>> = Vec::new();
        for segment in segments {
            let alone = simplest(&self.kinds, self.limits, segment.need);
            let most = alone.get(self.cheapest).copied().unwrap_or(0);
            let fixed = (0..=MOST_EXCHANGED.min(most)).map(|less| {
                let mut kinds = self.kinds.clone();
                if let Some(kind) = kinds.get_mut(self.cheapest) {
                    let count = (most - less).clamp(kind.min, kind.max);
                    (kind.min, kind.max) = (count, count);
                }
                cheapest(&kinds, self.limits, segment.need)
            });
            let found: Vec<Vec<u32>> = fixed.collect();
            mixes.extend(found.into_iter().chain([alone]));
        }
        mixes.sort_unstable();
        mixes.dedup();
        mixes
    }

    /// A mix for each segment, by position.
    fn cheapest_sequence(&self, segments: &[Segment], mixes: &[Vec<u32>]) -> Vec<usize> {
        let costs: Vec<f64> = mixes
            .iter()
            .map(|mix| self.sum(mix, |kind| kind.cost))
            .collect();
        let carried: Vec<f64> = mixes
            .iter()
            .map(|mix| self.sum(mix, |kind| kind.share))
            .collect();
        let mut history: Vec<Vec<Choice>> = Vec::with_capacity(segments.len());
        for segment in segments {
            let most = carried.iter().copied().fold(0.0, f64::max);
            let need = segment.need.min(most) - 1e-9;
            let fitting = (0..mixes.len())
                .zip(&carried)
                .filter(|(_, carried)| **carried >= need);
            let choices = fitting.map(|(mix, _)| {
                let cost = costs.get(mix).copied().unwrap_or(0.0) * segment.ticks as f64;
                let (before, so_far) = self.cheapest_before(history.last(), mixes, mix);
                Choice {
                    mix,
                    cost: so_far + cost,
                    before,
                }
            });
            let choices = choices.collect();
            history.push(choices);
        }
        walk_back(&history)
    }

    /// Of the choices for the segment before, the one from which `mix` is reached at least cost.
    fn cheapest_before(
        &self,
        choices: Option<&Vec<Choice>>,
        mixes: &[Vec<u32>],
        mix: usize,
    ) -> (usize, f64) {
        let costs = choices
            .into_iter()
            .flatten()
            .enumerate()
            .map(|(position, choice)| {
                (
                    position,
                    choice.cost + self.exchange(mixes.get(choice.mix), mixes.get(mix)),
                )
            });
        costs
            .min_by(|one, other| one.1.total_cmp(&other.1))
            .unwrap_or((0, 0.0))
    }

    /// Cost of keeping what `to` has less of until what it has more of serves.
    fn exchange(&self, from: Option<&Vec<u32>>, to: Option<&Vec<u32>>) -> f64 {
        let Some((from, to)) = from.zip(to) else {
            return 0.0;
        };
        if to.iter().zip(from).all(|(to, from)| to <= from) {
            return 0.0;
        }
        let kept = self.kinds.iter().zip(from.iter().zip(to));
        let kept = kept.map(|(kind, (from, to))| kind.cost * f64::from(from.saturating_sub(*to)));
        let kept: f64 = kept.sum();
        if self.limits.affords(kept + self.sum(to, |kind| kind.cost)) {
            kept * self.lead_ticks as f64
        } else {
            // For a while both are paid for, and the budget does not allow it.
            f64::INFINITY
        }
    }

    fn sum(&self, mix: &[u32], value: fn(&Kind) -> f64) -> f64 {
        self.kinds
            .iter()
            .zip(mix)
            .map(|(kind, count)| value(kind) * f64::from(*count))
            .sum()
    }
}

/// The sequence of mixes that ends at the least cost.
fn walk_back(history: &[Vec<Choice>]) -> Vec<usize> {
    let last = history.last().and_then(|choices| {
        let costs = choices.iter().map(|choice| choice.cost).enumerate();
        costs
            .min_by(|one, other| one.1.total_cmp(&other.1))
            .map(|(position, _)| position)
    });
    let mut sequence = Vec::with_capacity(history.len());
    let mut position = last.unwrap_or(0);
    for choice in history.iter().rev() {
        if let Some(choice) = choice.get(position) {
            sequence.push(choice.mix);
            position = choice.before;
        }
    }
    sequence.reverse();
    sequence
}
