//! What arrives at a pool, from its picker where it has one, else from its engines.
//!
//! A request of a pool that splits prefill from decode runs on two replicas and finishes on both,
//! so only those that answer count requests; what prompts meet is read where prompts are.

use std::collections::HashMap;

use trimtab_contract::{Pool, Role, Workload};

use super::cells::ModelKey;
use super::histogram::{Histogram, quantile};
use super::index::Owner;
use super::picker::PickerLoad;
use super::replica::{Sums, ratio};
use crate::answer::Answers;
use crate::names::{Quantity, Source, Topic};

/// Histograms of engines, by pool, quantity and kind of engine.
pub(super) struct Buckets {
    histograms: HashMap<(usize, Quantity, Source), Histogram>,
}

impl Buckets {
    pub(super) fn gather(answers: &Answers, models: &HashMap<ModelKey<'_>, Owner<usize>>) -> Self {
        let mut buckets = Self {
            histograms: HashMap::new(),
        };
        let topics = [Topic::TtftBuckets, Topic::ItlBuckets];
        for (sample, labels) in topics.iter().flat_map(|topic| answers.samples(*topic)) {
            let key = (
                &*labels.namespace,
                &*labels.exported_namespace,
                &*labels.model_name,
            );
            // Of a model of several pools it is not known whose requests were counted.
            let pool = models.get(&key).and_then(|owner| owner.one());
            let (Some(pool), Some(source)) = (pool, sample.source) else {
                continue;
            };
            let counts = sample.value.is_finite() && sample.value >= 0.0;
            if let Some(bound) = sample.bound.filter(|_| counts) {
                let of = buckets.histograms.entry((pool, sample.quantity, source));
                of.or_default().add(bound, sample.value);
            }
        }
        buckets
    }

    /// The histograms of all kinds of engine in a pool.
    fn of(&self, pool: usize, quantity: Quantity) -> Vec<&Histogram> {
        [Source::Vllm, Source::Sglang]
            .into_iter()
            .filter_map(|source| self.histograms.get(&(pool, quantity, source)))
            .collect()
    }
}

/// Everything that says something of one pool.
pub(super) struct Sources<'a> {
    pub(super) position: usize,
    pub(super) pool: &'a Pool,
    /// Of its replicas, with the variants they belong to.
    pub(super) replicas: &'a [(u32, Sums)],
    pub(super) picker: &'a PickerLoad,
    pub(super) buckets: &'a Buckets,
    /// Every replica that says how many requests it finishes says it now.
    pub(super) counts_are_whole: bool,
}

impl Sources<'_> {
    pub(super) fn workload(&self) -> Workload {
        let percentile = self.pool.objective.percentile;
        let picked_ttft = quantile(&[&self.picker.ttft], percentile);
        let picked_ttft_mean = self
            .picker
            .ttft_sum
            .zip(self.picker.ttft_count)
            .and_then(|(sum, count)| ratio(sum, count));
        Workload {
            request_rate: self.request_rate(),
            input_tokens: self.mean(
                Side::Answers,
                Quantity::InputTokens,
                Quantity::CountedRequests,
            ),
            output_tokens: self.mean(
                Side::Answers,
                Quantity::OutputTokens,
                Quantity::CountedRequests,
            ),
            prefix_hit_ratio: self
                .mean(Side::Prompts, Quantity::PrefixHits, Quantity::PrefixQueries)
                .map(|share| share.min(1.0)),
            queued_requests: self.picker.queued_requests,
            queued_bytes: self.picker.queued_bytes,
            ttft_mean: picked_ttft_mean
                .or_else(|| self.mean(Side::Prompts, Quantity::TtftSum, Quantity::TtftCount)),
            ttft_at_percentile: picked_ttft.or_else(|| self.engines_ttft_at(percentile)),
            itl_mean: self.mean(Side::Answers, Quantity::ItlSum, Quantity::ItlCount),
            itl_at_percentile: self.itl_at(percentile),
        }
    }

    /// Requests per second that arrive. Without a picker that counts them they are those that
    /// finish and those by which the engines fill; a part of them is no rate of the pool.
    fn request_rate(&self) -> Option<f64> {
        self.picker.arrivals.or_else(|| {
            if !self.counts_are_whole {
                return None;
            }
            let finished = self.total(Side::Answers, Quantity::Finished)?;
            let growth = [Quantity::WaitingGrowth, Quantity::RunningGrowth]
                .into_iter()
                .filter_map(|quantity| self.total(Side::All, quantity));
            Some((finished + growth.sum::<f64>()).max(0.0))
        })
    }

    /// Both halves of a split request count a first token, and their buckets come as one: then
    /// there is no saying which is the user's.
    fn engines_ttft_at(&self, percentile: f64) -> Option<f64> {
        let histograms = self.buckets.of(self.position, Quantity::TtftBucket);
        let histograms = (!self.is_split()).then_some(histograms)?;
        quantile(&histograms, percentile)
    }

    fn is_split(&self) -> bool {
        let mut variants = self.pool.variants.iter();
        variants.any(|variant| variant.role == Role::Prefill)
    }

    /// Over requests where that is measured, since that is what an objective bounds. Prefill
    /// replicas count each of their requests there with no time at all, so where there are any
    /// the picker is asked, and else tokens are.
    fn itl_at(&self, percentile: f64) -> Option<f64> {
        let of = |quantity| quantile(&self.buckets.of(self.position, quantity), percentile);
        let requests = if self.is_split() {
            None
        } else {
            of(Quantity::RequestItlBucket)
        };
        requests
            .or_else(|| quantile(&[&self.picker.itl], percentile))
            .or_else(|| of(Quantity::TokenItlBucket))
    }

    fn mean(&self, side: Side, sum: Quantity, count: Quantity) -> Option<f64> {
        let pairs = self
            .of(side)
            .filter_map(|sums| sums.get(sum).zip(sums.get(count)));
        let (sum, count) = pairs.fold((0.0, 0.0), |(sum, count), (more, counted)| {
            (sum + more, count + counted)
        });
        ratio(sum, count)
    }

    /// `None` where no replica tells.
    pub(super) fn total(&self, side: Side, quantity: Quantity) -> Option<f64> {
        self.of(side)
            .filter_map(|sums| sums.get(quantity))
            .reduce(|sum, more| sum + more)
    }

    fn of(&self, side: Side) -> impl Iterator<Item = &Sums> {
        let role = |variant: u32| {
            let variant = self.pool.variants.get(variant as usize);
            variant.map_or(Role::Both, |variant| variant.role)
        };
        let belongs = move |role: Role| match side {
            Side::All => true,
            Side::Answers => role != Role::Prefill,
            Side::Prompts => role != Role::Decode,
        };
        // A pool of one side alone is read where it is.
        let none = !self
            .replicas
            .iter()
            .any(|(variant, _)| belongs(role(*variant)));
        self.replicas
            .iter()
            .filter(move |(variant, _)| none || belongs(role(*variant)))
            .map(|(_, sums)| sums)
    }
}

/// Which replicas of a pool are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    All,
    /// All but prefill.
    Answers,
    /// All but decode.
    Prompts,
}
