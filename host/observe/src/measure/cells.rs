//! What engine instances report, sorted by replica.

use std::collections::{BTreeMap, HashMap};

use trimtab_core::fleet::{FleetPool, FleetReplica};

use super::index::{Index, Owner, Place, host};
use crate::answer::{Answers, Labels, Sample};
use crate::names::{Quantity, Topic};

/// Queries whose samples are of single engine instances.
const TOPICS: [Topic; 7] = [
    Topic::Instances,
    Topic::Load,
    Topic::Capacity,
    Topic::Tokens,
    Topic::Prefix,
    Topic::Throughput,
    Topic::Latency,
];

/// A share of the cache beyond this is no share; up to it, it is rounding.
const LARGEST_SHARE: f64 = 1.05;

/// What tells one engine instance from another in a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Engine<'a> {
    pub(super) pod: usize,
    instance: &'a str,
    engine: &'a str,
    rank: &'a str,
}

/// What one engine instance reports for one model name. Ones that name several add up.
#[derive(Clone, Debug)]
pub(super) struct Cell<'a> {
    pub(super) engine: Engine<'a>,
    model: &'a str,
    values: [Option<f64>; Quantity::COUNT],
    /// Bit by quantity: some value of it was not a number.
    spoiled: u32,
}

const _: () = assert!(
    Quantity::COUNT <= u32::BITS as usize,
    "`spoiled` has a bit for each"
);

impl Cell<'_> {
    pub(super) fn value(&self, quantity: Quantity) -> Option<f64> {
        self.value_at(quantity as usize)
    }

    pub(super) fn is_spoiled(&self, quantity: Quantity) -> bool {
        self.is_spoiled_at(quantity as usize)
    }

    /// By a quantity's position.
    pub(super) fn value_at(&self, position: usize) -> Option<f64> {
        self.values.get(position).copied().flatten()
    }

    pub(super) fn is_spoiled_at(&self, position: usize) -> bool {
        self.spoiled >> position & 1 == 1
    }

    /// The same series from two scrapes counts once.
    fn put(&mut self, quantity: Quantity, value: f64) {
        if let Some(slot) = self.values.get_mut(quantity as usize) {
            *slot = Some(slot.map_or(value, |known| known.max(value)));
        }
    }
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Flaw {
    NotFinite,
    Negative,
    NoShare,
    NoSize,
}

/// Labels of a model's aggregated series: namespace, exported namespace, model name.
pub(super) type ModelKey<'a> = (&'a str, &'a str, &'a str);

/// Everything that engine instances report.
pub(super) struct Cells<'a> {
    /// By pool and replica.
    by_replica: Vec<Vec<Vec<Cell<'a>>>>,
    /// Pools whose pods report under a model name.
    pub(super) models: HashMap<ModelKey<'a>, Owner<usize>>,
    /// Pools with a model name that pods of others report under too.
    sharing: BTreeMap<usize, &'a str>,
    /// By pool, quantity and flaw: how many values, and the pod of one of them.
    flaws: BTreeMap<(usize, Quantity, Flaw), (u32, &'a str)>,
}

impl<'a> Cells<'a> {
    pub(super) fn gather(pools: &'a [FleetPool], index: &Index<'a>, answers: &'a Answers) -> Self {
        let empty = |pool: &FleetPool| vec![Vec::new(); pool.replicas.len()];
        let mut cells = Self {
            by_replica: pools.iter().map(empty).collect(),
            models: HashMap::new(),
            sharing: BTreeMap::new(),
            flaws: BTreeMap::new(),
        };
        for topic in TOPICS {
            for sample in answers.samples(topic) {
                if let Some((place, rank)) = index.place(&sample.labels) {
                    cells.insert(pools, place, rank, sample);
                    if topic == Topic::Load {
                        cells.know_model(place.pool, &sample.labels);
                    }
                }
            }
        }
        cells
    }

    /// The cells of a replica, without those that a pod left behind under an earlier address.
    pub(super) fn of(
        &self,
        pool: usize,
        position: usize,
        replica: &FleetReplica,
    ) -> Vec<&Cell<'a>> {
        let all = self.by_replica.get(pool).and_then(|of| of.get(position));
        let all = all.map_or(&[][..], Vec::as_slice);
        let at_its_address = |cell: &Cell<'_>| {
            let pod = replica.pods.get(cell.engine.pod);
            let ip = pod.and_then(|pod| pod.ip.as_deref());
            ip.is_some_and(|ip| ip == host(cell.engine.instance))
        };
        let kept = |cell: &&Cell<'a>| {
            let of_pod = |other: &&Cell<'_>| other.engine.pod == cell.engine.pod;
            at_its_address(cell) || !all.iter().filter(of_pod).any(at_its_address)
        };
        all.iter().filter(kept).collect()
    }

    /// What is wrong with what a pool's pods report, in words.
    pub(super) fn complaints(&self, pool: usize) -> impl Iterator<Item = String> {
        let shared = self.sharing.get(&pool).map(|model| {
            format!(
                "several pools of this namespace serve `{model}`: percentiles come from endpoint \
                 pickers alone"
            )
        });
        self.flawed(pool).chain(shared)
    }

    fn flawed(&self, pool: usize) -> impl Iterator<Item = String> {
        let first = (pool, Quantity::ReportedAt, Flaw::NotFinite);
        self.flaws
            .range(first..)
            .take_while(move |((of, ..), _)| *of == pool)
            .map(|((_, quantity, flaw), (count, pod))| {
                let others = match count {
                    0 | 1 => String::new(),
                    more => format!(" (and {} more)", more - 1),
                };
                let said = match flaw {
                    Flaw::NotFinite => "is not a finite number: taken as unknown",
                    Flaw::Negative => "is negative: left out",
                    Flaw::NoShare => "is no share between 0 and 1: taken as unknown",
                    Flaw::NoSize => "has no size in its labels: left out",
                };
                let name = quantity.label();
                format!("`{name}` of pod `{pod}`{others} {said}")
            })
    }

    fn insert(&mut self, pools: &'a [FleetPool], place: Place, rank: &'a str, sample: &'a Sample) {
        let quantity = sample.quantity;
        let checked = checked(sample);
        if let Err(flaw) = checked {
            let pod = pools
                .get(place.pool)
                .and_then(|pool| pool.replicas.get(place.replica))
                .and_then(|replica| replica.pods.get(place.pod))
                .map_or("", |pod| &pod.name);
            let counted = self.flaws.entry((place.pool, quantity, flaw));
            counted.or_insert((0, pod)).0 += 1;
        }
        let of_pool = self.by_replica.get_mut(place.pool);
        let Some(cells) = of_pool.and_then(|of| of.get_mut(place.replica)) else {
            return;
        };
        let cell = cell(cells, place.pod, rank, &sample.labels);
        match checked {
            Ok(value) => cell.put(quantity, value),
            Err(Flaw::NotFinite | Flaw::NoShare) => cell.spoiled |= 1 << quantity as u32,
            Err(Flaw::Negative | Flaw::NoSize) => {}
        }
    }

    fn know_model(&mut self, pool: usize, labels: &'a Labels) {
        if labels.model_name.is_empty() {
            return;
        }
        let key = (
            &*labels.namespace,
            &*labels.exported_namespace,
            &*labels.model_name,
        );
        let owner = self.models.entry(key).or_insert(Owner::One(pool));
        if *owner == Owner::One(pool) {
            return;
        }
        let sharing = [owner.one(), Some(pool)].into_iter().flatten();
        let sharing = sharing.map(|pool| (pool, &*labels.model_name));
        self.sharing.extend(sharing);
        *owner = Owner::Several;
    }
}

/// The cell that a series belongs to. A replica has few, so looking through them is quick.
fn cell<'c, 'a>(
    cells: &'c mut Vec<Cell<'a>>,
    pod: usize,
    rank: &'a str,
    labels: &'a Labels,
) -> &'c mut Cell<'a> {
    let engine = Engine {
        pod,
        instance: &labels.instance,
        engine: &labels.engine,
        rank: if rank.is_empty() {
            &labels.dp_rank
        } else {
            rank
        },
    };
    let model = &*labels.model_name;
    let known = cells
        .iter()
        .position(|cell| cell.engine == engine && cell.model == model);
    let position = known.unwrap_or(cells.len());
    if position == cells.len() {
        cells.push(Cell {
            engine,
            model,
            values: [None; Quantity::COUNT],
            spoiled: 0,
        });
    }
    #[expect(clippy::indexing_slicing, reason = "found, or pushed just now")]
    &mut cells[position]
}

fn checked(sample: &Sample) -> Result<f64, Flaw> {
    let value = sample.value;
    if !value.is_finite() {
        return Err(Flaw::NotFinite);
    }
    if sample.quantity == Quantity::KvBlocks {
        return cache_tokens(&sample.labels).ok_or(Flaw::NoSize);
    }
    let may_fall = [Quantity::WaitingGrowth, Quantity::RunningGrowth];
    if value < 0.0 && !may_fall.contains(&sample.quantity) {
        return Err(Flaw::Negative);
    }
    if sample.quantity != Quantity::KvUsage {
        return Ok(value);
    }
    if value > LARGEST_SHARE {
        return Err(Flaw::NoShare);
    }
    Ok(value.min(1.0))
}

/// The size of a KV cache as its information series says it. The size in tokens is right for
/// models with several kinds of layers too, blocks times their size is not.
fn cache_tokens(labels: &Labels) -> Option<f64> {
    let positive = |text: &str| text.parse().ok().filter(|value: &f64| *value >= 1.0);
    let product = |count: &str, size: &str| Some(positive(count)? * positive(size)?);
    positive(&labels.kv_cache_size_tokens)
        .or_else(|| product(&labels.num_gpu_blocks, &labels.block_size))
        .or_else(|| product(&labels.num_pages, &labels.page_size))
        .filter(|tokens| tokens.is_finite())
}
