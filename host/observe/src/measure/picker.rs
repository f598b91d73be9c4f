//! What endpoint pickers report, by pool. Spellings of one quantity never add up.

use std::collections::{BTreeSet, HashMap};

use trimtab_core::fleet::{FleetPod, FleetPool, Picker};

use super::histogram::Histogram;
use super::index::{Index, pod_names};
use crate::answer::{Answers, Labels};
use crate::names::{Quantity, Source, Topic};

const TOPICS: [Topic; 4] = [
    Topic::PickerRequests,
    Topic::PickerQueue,
    Topic::PickerLatency,
    Topic::PickerInFlight,
];

/// Gauges of what is in a picker now. What pods counted over a window adds up, old pods included;
/// what they hold does not: a pod that is gone holds nothing.
const GAUGES: [Quantity; 4] = [
    Quantity::InFlight,
    Quantity::QueuedRequests,
    Quantity::QueuedBytes,
    Quantity::Saturation,
];

/// Engines may run so many times what their picker has in flight, and so many more, before the two
/// are said to disagree: they are scraped at different instants.
const IN_FLIGHT_FACTOR: f64 = 1.5;
const IN_FLIGHT_SLACK: f64 = 10.0;

/// What the pickers of one pool report.
#[derive(Clone, Debug, Default)]
pub(super) struct PickerLoad {
    /// Requests per second.
    pub(super) arrivals: Option<f64>,
    pub(super) queued_requests: Option<f64>,
    pub(super) queued_bytes: Option<f64>,
    /// There is a queue, but what it says makes no sense.
    pub(super) queue_is_unclear: bool,
    pub(super) ttft_sum: Option<f64>,
    pub(super) ttft_count: Option<f64>,
    pub(super) ttft: Histogram,
    pub(super) itl: Histogram,
    pub(super) warnings: Vec<String>,
}

/// A sample with the pod that gave it.
struct Entry<'a> {
    pod: &'a str,
    source: Source,
    value: f64,
    /// Of a histogram's bucket.
    bound: Option<f64>,
}

/// By pool and quantity.
pub(super) struct Pickers<'a> {
    entries: HashMap<(usize, Quantity), Vec<Entry<'a>>>,
    /// Pods that report anything, by pool.
    reporting: HashMap<usize, BTreeSet<&'a str>>,
    /// Some of the requests may be missing in the answer.
    is_partial: bool,
}

impl<'a> Pickers<'a> {
    pub(super) fn gather(pools: &[FleetPool], index: &Index<'a>, answers: &'a Answers) -> Self {
        let learned = learned(index, answers);
        let mut entries: HashMap<(usize, Quantity), Vec<Entry<'a>>> = HashMap::new();
        let mut reporting: HashMap<usize, BTreeSet<&str>> = HashMap::new();
        for topic in TOPICS {
            for (sample, labels) in answers.samples(topic) {
                let pool = index.picker_pool(labels, &learned);
                let (Some(pool), Some(source)) = (pool, sample.source) else {
                    continue;
                };
                let pod = pod(labels);
                reporting.entry(pool).or_default().insert(pod);
                if GAUGES.contains(&sample.quantity) && is_gone(pools.get(pool), labels) {
                    continue;
                }
                let of = entries.entry((pool, sample.quantity)).or_default();
                of.push(Entry {
                    pod,
                    source,
                    value: sample.value,
                    bound: sample.bound,
                });
            }
        }
        Self {
            entries,
            reporting,
            is_partial: answers.is_partial(Topic::PickerRequests),
        }
    }

    /// `picker` is what the cluster knows of the pool's picker.
    pub(super) fn load(&self, pool: usize, picker: Option<&Picker>) -> PickerLoad {
        let mut load = PickerLoad::default();
        load.arrivals = self.counted(pool, Quantity::Arrivals, &mut load.warnings);
        let silent = self.silent(pool, picker);
        if let Some((silent, _)) = silent.zip(load.arrivals) {
            load.warnings.push(format!(
                "picker pod `{silent}` is not measured, and others are: what they count is not all"
            ));
        }
        if silent.is_some() || self.is_partial {
            load.arrivals = None;
        }
        load.queued_requests = self.held(pool, Quantity::QueuedRequests, &mut load.warnings);
        load.queued_bytes = self.held(pool, Quantity::QueuedBytes, &mut load.warnings);
        load.queue_is_unclear =
            load.queued_requests.is_none() && !self.of(pool, Quantity::QueuedRequests).is_empty();
        if !self.of(pool, Quantity::Saturation).is_empty() {
            // Flow control is on: queues whose series were dropped are empty.
            load.queued_requests =
                self.or_empty(pool, Quantity::QueuedRequests, load.queued_requests);
            load.queued_bytes = self.or_empty(pool, Quantity::QueuedBytes, load.queued_bytes);
        }
        load.ttft_sum = self.counted(pool, Quantity::PickerTtftSum, &mut load.warnings);
        load.ttft_count = self.counted(pool, Quantity::PickerTtftCount, &mut load.warnings);
        load.ttft = self.histogram(pool, Quantity::PickerTtftBucket);
        load.itl = self.histogram(pool, Quantity::PickerItlBucket);
        let lost = self.lost_count(pool, &mut load.warnings);
        load.warnings.extend(lost);
        load
    }

    /// A pod of the picker that reports nothing, where others do.
    fn silent<'p>(&self, pool: usize, picker: Option<&'p Picker>) -> Option<&'p str> {
        let reporting = self.reporting.get(&pool)?;
        let reports = |pod: &FleetPod| reporting.contains(pod.name.as_str());
        let pods = &picker?.pods;
        let silent = pods.iter().find(|pod| !reports(pod))?;
        pods.iter().any(reports).then_some(silent.name.as_str())
    }

    /// What to say where engines run more than their picker has in flight.
    fn lost_count(&self, pool: usize, warnings: &mut Vec<String>) -> Option<String> {
        let in_flight = self.counted(pool, Quantity::InFlight, warnings)?;
        // That values of engines make no sense is said by pod.
        let engines = self.of(pool, Quantity::EnginesRunning).iter();
        let running = total(Quantity::EnginesRunning, engines, &mut Vec::new())?;
        (running > in_flight * IN_FLIGHT_FACTOR + IN_FLIGHT_SLACK).then(|| {
            format!(
                "the engines run {running:.0} requests, the endpoint picker has {in_flight:.0} in \
                 flight: it lost count of some, or they come to the pods past it; what the engines \
                 say counts"
            )
        })
    }

    fn of(&self, pool: usize, quantity: Quantity) -> &[Entry<'a>] {
        self.entries
            .get(&(pool, quantity))
            .map_or(&[], Vec::as_slice)
    }

    /// Zero where there is no series at all; a series that says nonsense stays unknown.
    fn or_empty(&self, pool: usize, quantity: Quantity, value: Option<f64>) -> Option<f64> {
        if self.of(pool, quantity).is_empty() {
            return Some(0.0);
        }
        value
    }

    /// What all pods counted, each in its newest spelling.
    fn counted(&self, pool: usize, quantity: Quantity, warnings: &mut Vec<String>) -> Option<f64> {
        let entries = self.newest_by_pod(pool, quantity);
        total(quantity, entries, warnings)
    }

    /// What all pods hold, in the pool's newest spelling alone: while a picker is upgraded, old and
    /// new pods speak of one queue.
    fn held(&self, pool: usize, quantity: Quantity, warnings: &mut Vec<String>) -> Option<f64> {
        let entries = self.of(pool, quantity);
        let newest = entries.iter().map(|entry| entry.source).min()?;
        let speaking: BTreeSet<&str> = entries
            .iter()
            .filter(|entry| entry.source == newest)
            .map(|entry| entry.pod)
            .collect();
        let silent = entries.iter().find(|entry| !speaking.contains(entry.pod));
        if let Some(silent) = silent {
            warnings.push(format!(
                "`{}`: picker pod `{}` still has the names of `{}`; only pods with those \
                 of `{}` count until all are upgraded",
                quantity.label(),
                silent.pod,
                silent.source.label(),
                newest.label()
            ));
        }
        let newest = entries.iter().filter(|entry| entry.source == newest);
        total(quantity, newest, warnings)
    }

    fn newest_by_pod(&self, pool: usize, quantity: Quantity) -> impl Iterator<Item = &Entry<'a>> {
        let entries = self.of(pool, quantity);
        let mut newest: HashMap<&str, Source> = HashMap::new();
        for entry in entries {
            let known = newest.entry(entry.pod).or_insert(entry.source);
            *known = entry.source.min(*known);
        }
        entries
            .iter()
            .filter(move |entry| newest.get(entry.pod) == Some(&entry.source))
    }

    fn histogram(&self, pool: usize, quantity: Quantity) -> Histogram {
        let mut histogram = Histogram::default();
        for entry in self.newest_by_pod(pool, quantity) {
            let count = entry.value;
            let counts = count.is_finite() && count >= 0.0;
            if let Some(bound) = entry.bound.filter(|_| counts) {
                histogram.add(bound, count);
            }
        }
        histogram
    }
}

/// Adds up. Not a number makes the sum unknown; a negative count is left out, and said.
fn total<'e>(
    quantity: Quantity,
    entries: impl Iterator<Item = &'e Entry<'e>>,
    warnings: &mut Vec<String>,
) -> Option<f64> {
    let mut sum = None;
    for entry in entries {
        let value = entry.value;
        let (name, pod) = (quantity.label(), entry.pod);
        if !value.is_finite() {
            warnings.push(format!(
                "`{name}` of picker pod `{pod}` is {value}: taken as unknown"
            ));
            return None;
        }
        if value < 0.0 {
            warnings.push(format!(
                "`{name}` of picker pod `{pod}` is negative ({value}): left out"
            ));
            continue;
        }
        sum = Some(sum.unwrap_or(0.0) + value);
    }
    sum
}

/// Pools of picker pods, from those of their series that name one.
fn learned<'a>(index: &Index<'a>, answers: &'a Answers) -> HashMap<(&'a str, &'a str), usize> {
    let mut learned = HashMap::new();
    for (_, labels) in answers.samples(Topic::PickerQueue) {
        if let Some(pool) = index.named_pool(labels) {
            learned.extend(pod_names(labels).map(|key| (key, pool)));
        }
    }
    learned
}

fn pod(labels: &Labels) -> &str {
    named_pod(labels).unwrap_or(&labels.instance)
}

fn named_pod(labels: &Labels) -> Option<&str> {
    let names = [&labels.exported_pod, &labels.pod, &labels.pod_name];
    let mut names = names.into_iter().map(|name| &**name);
    names.find(|name| !name.is_empty())
}

/// Whether the pool's picker is known to have other pods. Of series that name none, nobody knows.
fn is_gone(pool: Option<&FleetPool>, labels: &Labels) -> bool {
    let picker = pool.and_then(|pool| pool.picker.as_ref());
    let pod = named_pod(labels);
    picker.zip(pod).is_some_and(|(picker, pod)| {
        !picker.pods.is_empty() && !picker.pods.iter().any(|known| known.name == pod)
    })
}
