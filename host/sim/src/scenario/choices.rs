//! Which policies a scenario names where: each checked in all but what the policies themselves must
//! say.

use std::path::Path;

use trimtab_core::experiment::{Experiment, StopIf};

use super::check::Place;
use super::file::{
    ExperimentEntry, PolicyUseEntry, PoolEntry, PoolPoliciesEntry, ShadowEntry, StopIfEntry,
    SwapEntry,
};
use super::resolve::SEED_STEP;
use super::{Scenario, ScenarioError, bounds};
use crate::spec::Spec;

/// A policy that a scenario names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyChoice {
    /// `builtin:NAME`, or the path of a component; from where the process runs.
    pub reference: String,
    /// JSON document.
    pub settings: String,
    /// Where it stands, for errors: the scenario and the path in it.
    pub place: String,
}

/// Policies in place of others; `None` where those stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// At least one.
    pub analyzers: Option<Vec<PolicyChoice>>,
    pub optimizer: Option<PolicyChoice>,
}

/// What is chosen for one pool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PoolChoices {
    /// In place of the scenario's own.
    pub own: Choices,
    /// By name, in the order of the file.
    pub shadows: Vec<(String, Choices)>,
    /// Rules without an identity, and the candidate.
    pub experiment: Option<(Experiment, Choices)>,
}

/// Policies that a pool gets while it runs.
#[derive(Clone, Debug, PartialEq)]
pub struct SwapChoice {
    /// From the start of the run, at or before its last tick.
    pub at_seconds: f64,
    /// Position of the pool.
    pub pool: usize,
    pub policies: Choices,
}

impl Scenario {
    /// What each pool of `spec`, to which this scenario was resolved, is given in place of
    /// [`Self::analyzer`] and [`Self::optimizer`].
    ///
    /// # Errors
    /// [`ScenarioError`] that names the field, what is wrong with it, and what would be right.
    pub fn pools(&self, spec: &Spec) -> Result<Vec<PoolChoices>, ScenarioError> {
        let from = self.named();
        let list = from.place.key("pools");
        let pools = self.file.pools.iter().enumerate();
        pools
            .map(|(index, entry)| {
                let seed = SEED_STEP.wrapping_mul(index as u64);
                let seed = spec.seed.wrapping_add(seed);
                from.at(list.index(index)).pool(entry, seed)
            })
            .collect()
    }

    /// In order of time.
    ///
    /// # Errors
    /// As [`Self::pools`].
    pub fn swaps(&self, spec: &Spec) -> Result<Vec<SwapChoice>, ScenarioError> {
        let from = self.named();
        let list = from.place.key("swaps");
        let swaps = self.file.swaps.iter().enumerate();
        let swaps = swaps.map(|(index, entry)| from.at(list.index(index)).swap(entry, spec));
        let mut swaps = swaps.collect::<Result<Vec<_>, _>>()?;
        swaps.sort_by(|one, other| one.at_seconds.total_cmp(&other.at_seconds));
        Ok(swaps)
    }

    pub(super) fn named(&self) -> Names<'_> {
        Names {
            place: Place::root(&self.name),
            directory: &self.directory,
        }
    }
}

/// A place in the scenario file where policies are named.
pub(super) struct Names<'a> {
    place: Place<'a>,
    /// Where relative paths start.
    directory: &'a Path,
}

impl<'a> Names<'a> {
    fn at(&self, place: Place<'a>) -> Self {
        Self {
            place,
            directory: self.directory,
        }
    }

    pub(super) fn key(&self, key: &str) -> Self {
        self.at(self.place.key(key))
    }

    /// The policy that is named here.
    pub(super) fn choice(
        &self,
        named: &str,
        settings: &serde_json::Map<String, serde_json::Value>,
    ) -> PolicyChoice {
        let reference = if named.starts_with("builtin:") {
            named.to_owned()
        } else {
            self.directory.join(named).to_string_lossy().into_owned()
        };
        PolicyChoice {
            reference,
            settings: serde_json::Value::Object(settings.clone()).to_string(),
            place: self.place.to_string(),
        }
    }

    fn pool(&self, entry: &PoolEntry, seed: u64) -> Result<PoolChoices, ScenarioError> {
        let own = &entry.policies;
        let experiment = entry.experiment.as_ref();
        let experiment = experiment.map(|entry| self.key("experiment").experiment(entry, seed));
        Ok(PoolChoices {
            own: self
                .key("policies")
                .choices(own.analyzers.as_deref(), own.optimizer.as_ref())?,
            shadows: self.key("shadows").shadows(&entry.shadows)?,
            experiment: experiment.transpose()?,
        })
    }

    fn shadows(&self, entries: &[ShadowEntry]) -> Result<Vec<(String, Choices)>, ScenarioError> {
        self.place
            .unique(entries.iter().map(|entry| entry.name.as_str()))?;
        let entries = entries.iter().enumerate();
        entries
            .map(|(index, entry)| {
                let here = self.at(self.place.index(index));
                let choices = here.some(entry.analyzers.as_deref(), entry.optimizer.as_ref())?;
                Ok((entry.name.clone(), choices))
            })
            .collect()
    }

    fn experiment(
        &self,
        entry: &ExperimentEntry,
        seed: u64,
    ) -> Result<(Experiment, Choices), ScenarioError> {
        let place = &self.place;
        let slot_seconds =
            place.within("slot-seconds", bounds::SLOT_SECONDS, entry.slot_seconds)?;
        let washout = place.key("washout-seconds");
        let washout_seconds = washout.bounded(bounds::WASHOUT_SECONDS, entry.washout_seconds)?;
        washout.hold(
            washout_seconds < slot_seconds,
            washout_seconds,
            &format!("less than `slot-seconds`, which is {slot_seconds}"),
        )?;
        let PoolPoliciesEntry {
            analyzers,
            optimizer,
        } = &entry.candidate;
        let candidate = self.key("candidate");
        let candidate = candidate.some(analyzers.as_deref(), optimizer.as_ref())?;
        let rules = Experiment {
            seed: entry.seed.unwrap_or(seed),
            slot_seconds,
            washout_seconds,
            max_slots: place.within("max-slots", bounds::SLOTS, entry.max_slots)?,
            stop_if: stop_if(&entry.stop_if, &place.key("stop-if"))?,
            ..Experiment::default()
        };
        Ok((rules, candidate))
    }

    fn swap(&self, entry: &SwapEntry, spec: &Spec) -> Result<SwapChoice, ScenarioError> {
        let at = self.place.key("at-seconds");
        let at_seconds = at.bounded(bounds::INSTANT_SECONDS, entry.at_seconds)?;
        let tick = spec.timing.tick_seconds;
        let last = (spec.duration_seconds / tick).floor() * tick;
        at.hold(
            at_seconds <= last,
            at_seconds,
            &format!("at most {last}, when the run's last tick is"),
        )?;
        let mut names = spec.pools.iter().map(|pool| pool.name.as_str());
        let pool = names.position(|name| name == entry.pool).ok_or_else(|| {
            let names = spec.pools.iter().map(|pool| pool.name.as_str());
            self.place.key("pool").unknown(&entry.pool, names)
        })?;
        Ok(SwapChoice {
            at_seconds,
            pool,
            policies: self.some(entry.analyzers.as_deref(), entry.optimizer.as_ref())?,
        })
    }

    /// Analyzers, an optimizer, or both.
    fn some(
        &self,
        analyzers: Option<&[PolicyUseEntry]>,
        optimizer: Option<&PolicyUseEntry>,
    ) -> Result<Choices, ScenarioError> {
        if analyzers.is_none() && optimizer.is_none() {
            let problem = "names no policy; expected `analyzers`, an `optimizer`, or both";
            return Err(self.place.error(problem));
        }
        self.choices(analyzers, optimizer)
    }

    fn choices(
        &self,
        analyzers: Option<&[PolicyUseEntry]>,
        optimizer: Option<&PolicyUseEntry>,
    ) -> Result<Choices, ScenarioError> {
        let list = self.key("analyzers");
        let is_empty = analyzers.is_some_and(<[_]>::is_empty);
        list.place
            .hold(!is_empty, "empty", "at least one analyzer")?;
        let choice = |from: &Self, entry: &PolicyUseEntry| {
            let named = entry.policy.as_str();
            from.place.key("policy").named(named)?;
            Ok(from.choice(named, &entry.settings))
        };
        let each = |entries: &[PolicyUseEntry]| {
            let entries = entries.iter().enumerate();
            let each = entries.map(|(index, of)| choice(&list.at(list.place.index(index)), of));
            each.collect::<Result<Vec<_>, ScenarioError>>()
        };
        let optimizer = optimizer.map(|entry| choice(&self.key("optimizer"), entry));
        Ok(Choices {
            analyzers: analyzers.map(each).transpose()?,
            optimizer: optimizer.transpose()?,
        })
    }
}

fn stop_if(entry: &StopIfEntry, place: &Place<'_>) -> Result<StopIf, ScenarioError> {
    let (attainment, cost) = (entry.attainment_below, entry.cost_above_ratio);
    Ok(StopIf {
        attainment_below: place.within_if_set("attainment-below", bounds::SHARE, attainment)?,
        cost_above_ratio: place.within_if_set("cost-above-ratio", bounds::RATIO, cost)?,
    })
}
