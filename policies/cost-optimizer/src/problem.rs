//! One role of one pool as a problem of arithmetic: the variants to choose from, the floors that
//! their supply must reach, and the ceilings below which nothing may go.

use trimtab_sdk::{Pool, Request, Role, Stage, Variant};

use crate::purse::Purse;

/// Money is counted in whole millionths of the currency, so that equal costs are equal.
pub(crate) const MICROS: f64 = 1e6;

/// Dearest replica, per hour, that is taken for a price.
const DEAREST: f64 = 1e9;

/// Share by which supply may miss a bound: rounding in the analyzer's arithmetic is no shortage.
const ROUNDING: f64 = 1e-9;

/// The variants of one role in one pool.
pub(crate) struct Problem<'a> {
    pub(crate) pool: &'a Pool,
    /// Position in the call's requests.
    pub(crate) request: u32,
    pub(crate) role: Role,
    /// The objective's priority, with "not set" behind all others.
    pub(crate) rank: u32,
    /// In the order of their names.
    pub(crate) choices: Vec<Choice<'a>>,
    /// One for each stage of the role; none where the role is kept as it is.
    pub(crate) bars: Vec<Bar<'a>>,
    /// Why the role is kept as it is, where it is.
    pub(crate) kept: Option<Kept<'a>>,
}

/// Why a role is not judged.
pub(crate) enum Kept<'a> {
    /// Every analyzer abstains.
    NoStage,
    /// A stage has a floor or a ceiling that is no bound.
    BadStage(&'a Stage),
    /// A variant has a cost that is no price.
    BadCost(&'a Variant),
}

/// One variant.
pub(crate) struct Choice<'a> {
    pub(crate) variant: &'a Variant,
    /// Position in the pool's variants.
    pub(crate) position: u32,
    /// Millionths of the currency that one replica costs for an hour.
    pub(crate) cost: u64,
    pub(crate) gpus: u64,
    /// Where the purse keeps the GPUs of its accelerator.
    pub(crate) slot: usize,
    pub(crate) min: u32,
    pub(crate) max: u32,
    /// What is asked for now, within the bounds: pending replicas count.
    pub(crate) start: u32,
    /// Replicas whose GPUs and cost are counted already.
    pub(crate) held: u32,
    /// Those of `start` that serve.
    pub(crate) serving: u32,
    /// What one replica supplies to each bar.
    pub(crate) supply: Vec<f64>,
}

/// One stage of the role.
pub(crate) struct Bar<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) floor: f64,
    pub(crate) ceiling: f64,
}

impl<'a> Problem<'a> {
    /// The problems of a request, one for each role that it has variants of.
    pub(crate) fn of_request(
        number: u32,
        request: &'a Request,
        purse: &Purse,
    ) -> impl Iterator<Item = Self> {
        [Role::Both, Role::Prefill, Role::Decode]
            .into_iter()
            .filter_map(move |role| Self::of_role(number, request, role, purse))
    }

    fn of_role(number: u32, request: &'a Request, role: Role, purse: &Purse) -> Option<Self> {
        let stages: Vec<&Stage> = request
            .stages
            .iter()
            .filter(|stage| stage.role == role)
            .collect();
        let mut choices: Vec<Choice> = (0..)
            .zip(&request.pool.variants)
            .filter(|(_, variant)| variant.role == role)
            .map(|(position, variant)| Choice::new(position, variant, &stages, purse))
            .collect();
        if choices.is_empty() {
            return None;
        }
        choices.sort_by(|one, other| one.variant.name.cmp(&other.variant.name));
        let kept = reason_to_keep(&stages, &choices);
        let bars = if kept.is_some() {
            Vec::new()
        } else {
            stages.iter().map(|s| Bar::new(s)).collect()
        };
        Some(Self {
            pool: &request.pool,
            request: number,
            role,
            rank: match request.pool.objective.priority {
                0 => u32::MAX,
                priority => priority,
            },
            choices,
            bars,
            kept,
        })
    }

    /// What is asked for now.
    pub(crate) fn start(&self) -> Vec<u32> {
        self.choices.iter().map(|choice| choice.start).collect()
    }

    pub(crate) fn floors(&self) -> Vec<f64> {
        self.bars.iter().map(|bar| bar.floor).collect()
    }

    pub(crate) fn ceilings(&self) -> Vec<f64> {
        self.bars.iter().map(|bar| bar.ceiling).collect()
    }

    /// What `counts` supply to each bar.
    pub(crate) fn supply(&self, counts: &[u32]) -> Vec<f64> {
        let mut supply = vec![0.0; self.bars.len()];
        for (choice, count) in self.choices.iter().zip(counts) {
            for (sum, per_replica) in supply.iter_mut().zip(&choice.supply) {
                *sum += per_replica * f64::from(*count);
            }
        }
        supply
    }

    /// Whether `counts` supply as much as `require` to every bar.
    pub(crate) fn meets(&self, counts: &[u32], require: &[f64]) -> bool {
        self.supply(counts)
            .iter()
            .zip(require)
            .all(|(supply, required)| supply >= required)
    }

    /// Orders problems that nothing else distinguishes, whatever the order of the requests.
    pub(crate) fn name(&self) -> (&str, &str, Role) {
        (&self.pool.namespace, &self.pool.name, self.role)
    }
}

impl<'a> Choice<'a> {
    fn new(position: u32, variant: &'a Variant, stages: &[&Stage], purse: &Purse) -> Self {
        // A maximum below the minimum gives way: an HPA with such bounds would be refused.
        let max = variant.max_replicas.max(variant.min_replicas);
        let start = variant.desired_replicas.clamp(variant.min_replicas, max);
        Self {
            variant,
            position,
            cost: if is_price(variant.cost) {
                (variant.cost * MICROS).round() as u64
            } else {
                0
            },
            gpus: u64::from(variant.gpus_per_replica),
            slot: purse.slot(&variant.accelerator),
            min: variant.min_replicas,
            max,
            start,
            held: start.max(variant.current_replicas),
            serving: variant.ready_replicas.min(start),
            supply: stages
                .iter()
                .map(|stage| per_replica(stage, position))
                .collect(),
        }
    }

    /// Replicas of `count` that are not there yet and must be paid.
    pub(crate) fn extra(&self, count: u32) -> u32 {
        count.saturating_sub(self.held)
    }

    /// Whether it supplies anything.
    pub(crate) fn is_useful(&self) -> bool {
        self.supply.iter().any(|supply| *supply > 0.0)
    }
}

impl<'a> Bar<'a> {
    fn new(stage: &'a Stage) -> Self {
        let lenient = |bound: f64| bound * (1.0 - ROUNDING);
        Self {
            stage,
            floor: lenient(stage.floor),
            ceiling: lenient(stage.ceiling.max(stage.floor)),
        }
    }
}

/// A variant that the stage does not list, or that cannot meet the objective, supplies nothing.
fn per_replica(stage: &Stage, position: u32) -> f64 {
    stage
        .capacities
        .iter()
        .find(|capacity| capacity.variant == position)
        .map(|capacity| capacity.per_replica)
        .filter(|supply| supply.is_finite() && *supply > 0.0)
        .unwrap_or(0.0)
}

fn is_price(cost: f64) -> bool {
    (0.0..=DEAREST).contains(&cost)
}

fn reason_to_keep<'a>(stages: &[&'a Stage], choices: &[Choice<'a>]) -> Option<Kept<'a>> {
    let is_bound = |bound: f64| bound.is_finite() && bound >= 0.0;
    if stages.is_empty() {
        return Some(Kept::NoStage);
    }
    if let Some(stage) = stages
        .iter()
        .find(|s| !is_bound(s.floor) || !is_bound(s.ceiling))
    {
        return Some(Kept::BadStage(stage));
    }
    choices
        .iter()
        .find(|choice| !is_price(choice.variant.cost))
        .map(|choice| Kept::BadCost(choice.variant))
}
