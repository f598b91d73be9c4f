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

/// Where the samples under one set of labels belong: a pod, and the position of their cell in its
/// replica.
#[derive(Clone, Copy, Debug)]
struct Slot {
    place: Place,
    cell: usize,
}

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
            let Some(answer) = answers.of(topic) else {
                continue;
            };
            let labels = answer.labels.iter();
            let slots: Vec<Option<Slot>> = labels.map(|labels| cells.slot(index, labels)).collect();
            if topic == Topic::Load {
                for (slot, labels) in slots.iter().zip(&answer.labels) {
                    cells.know_model(slot.as_ref(), labels);
                }
            }
            for sample in &answer.samples {
                let slot = slots.get(sample.labels).copied().flatten();
                if let (Some(slot), Some(labels)) = (slot, answer.labels.get(sample.labels)) {
                    cells.insert(pools, slot, sample, labels);
                }
            }
        }
        cells
    }

    /// Where the samples under these labels belong.
    fn slot(&mut self, index: &Index<'a>, labels: &'a Labels) -> Option<Slot> {
        let (place, rank) = index.place(labels)?;
        let of_pool = self.by_replica.get_mut(place.pool)?;
        let cells = of_pool.get_mut(place.replica)?;
        let cell = position(cells, place.pod, rank, labels);
        Some(Slot { place, cell })
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

    fn insert(&mut self, pools: &'a [FleetPool], slot: Slot, sample: &Sample, labels: &Labels) {
        let Slot { place, cell } = slot;
        let quantity = sample.quantity;
        let checked = checked(sample, labels);
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
        let cells = of_pool.and_then(|of| of.get_mut(place.replica));
        let Some(cell) = cells.and_then(|cells| cells.get_mut(cell)) else {
            return;
        };
        match checked {
            Ok(value) => cell.put(quantity, value),
            Err(Flaw::NotFinite | Flaw::NoShare) => cell.spoiled |= 1 << quantity as u32,
            Err(Flaw::Negative | Flaw::NoSize) => {}
        }
    }

    fn know_model(&mut self, slot: Option<&Slot>, labels: &'a Labels) {
        let Some(slot) = slot.filter(|_| !labels.model_name.is_empty()) else {
            return;
        };
        let pool = slot.place.pool;
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

/// Position of the cell that series belong to, a new one where there is none. A replica has few, so
/// looking through them is quick.
fn position<'a>(cells: &mut Vec<Cell<'a>>, pod: usize, rank: &'a str, labels: &'a Labels) -> usize {
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
    known.unwrap_or_else(|| {
        cells.push(Cell {
            engine,
            model,
            values: [None; Quantity::COUNT],
            spoiled: 0,
        });
        cells.len() - 1
    })
}

fn checked(sample: &Sample, labels: &Labels) -> Result<f64, Flaw> {
    let value = sample.value;
    if !value.is_finite() {
        return Err(Flaw::NotFinite);
    }
    if sample.quantity == Quantity::KvBlocks {
        return cache_tokens(labels).ok_or(Flaw::NoSize);
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
