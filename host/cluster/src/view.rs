//! What a tick sees of the cluster: pools with their variants and replicas, and what is wrong with
//! the objects that ask for them.

mod grouping;
mod replicas;
mod rivals;
mod scalers;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trimtab_contract::{Accelerator, Objective, Pool, Variant, Workload};
use trimtab_core::fleet::FleetPool;
use trimtab_core::memory::Recorded;
use trimtab_core::snapshot::PoolRules;

pub use self::scalers::{METRIC, Misreading, ScalerView, asks_us};

use self::grouping::{Place, groups};
use self::replicas::{Counted, PodsOfTargets};
use self::rivals::Rivals;
use crate::accelerator::Accelerators;
use crate::index::claim::{CONTROLLER_INSTANCE, Claim, Claimant, TargetKey, Way};
use crate::index::target::{Target, Unusable, WELL_KNOWN};
use crate::index::{Index, Key};
use crate::objects::variant::VariantStatus;
use crate::policies::{PolicyView, Stored};

/// What users were promised is not the cluster's to say.
const NO_OBJECTIVE: Objective = Objective {
    ttft: None,
    itl: None,
    throughput: None,
    percentile: 0.95,
    priority: 1,
};

/// The cluster at one instant.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// In the order of namespace and name.
    pub pools: Vec<PoolView>,
    /// Claims that came to nothing, and why.
    pub refused: Vec<Refused>,
    /// Why it is not known, where it is not.
    pub inventory: Result<Vec<Accelerator>, String>,
    /// Names of the variants that KEDA's ScaledObjects scale, by namespace and name of these.
    pub scaled_objects: BTreeMap<Key, String>,
    /// What pools are decided with.
    pub policies: PolicyView,
}

/// One pool, and who asked for each of its variants.
#[derive(Clone, Debug, PartialEq)]
pub struct PoolView {
    /// Without an objective, and with rules as they are by default.
    pub fleet: FleetPool,
    /// In the order of the pool's variants.
    pub variants: Vec<VariantView>,
}

/// Where a variant comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct VariantView {
    pub claimant: Claimant,
    pub uid: String,
    pub target: TargetKey,
    /// Replicas that the target asks for.
    pub spec_replicas: u32,
    /// What the claimant's status says; `None` where nothing of ours can be in it.
    pub recorded: Option<VariantStatus>,
    /// HPAs and ScaledObjects that scale the target.
    pub scalers: Vec<ScalerView>,
    /// Why its pods are not made, as the target's status says.
    pub not_made: Option<String>,
    /// Replicas for which the scheduler finds no place.
    pub unschedulable: u32,
    /// What is wrong with it, though it is scaled.
    pub warnings: Vec<String>,
}

/// A claim that cannot be served.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    pub claimant: Claimant,
    pub uid: String,
    pub target: TargetKey,
    /// What the claimant's status says; `None` where nothing of ours can be in it.
    pub recorded: Option<VariantStatus>,
    pub why: Why,
    pub message: String,
}

/// Why a claim cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    TargetNotFound,
    /// Several claims for one target, or of one name.
    Conflict,
    /// It says too little, or what cannot be.
    Invalid,
}

/// One claim with the target that it names.
pub(crate) struct Claimed<'a> {
    pub(crate) claimant: &'a Claimant,
    pub(crate) claim: &'a Claim,
    pub(crate) target: &'a Target,
    pub(crate) model: String,
    /// Name of the variant.
    pub(crate) name: String,
    /// What is wrong with it, though it is scaled.
    pub(crate) warnings: Vec<String>,
}

impl Refused {
    fn new(claimant: &Claimant, claim: &Claim, why: Why, message: String) -> Self {
        Self {
            claimant: claimant.clone(),
            uid: claim.uid.clone(),
            target: claim.target.clone(),
            recorded: claim.recorded.clone(),
            why,
            message,
        }
    }
}

impl VariantView {
    /// Conditions that the claimant's status says are false: type, reason and message.
    pub fn said_false(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let conditions = self.recorded.iter().flat_map(|status| &status.conditions);
        let bad = conditions.filter(|of| of.status == "False");
        bad.map(|of| {
            let reason = of.reason.as_deref().unwrap_or_default();
            let message = of.message.as_deref().unwrap_or_default();
            (of.kind.as_str(), reason, message)
        })
    }

    /// What the claimant's status says was last asked for; `None` where that was given to nobody, as
    /// in the mode `observe`.
    #[must_use]
    pub fn recorded_count(&self) -> Option<Recorded> {
        let recorded = self.recorded.as_ref()?;
        if recorded.actuation.applied != Some(true) {
            return None;
        }
        Some(Recorded {
            replicas: recorded.desired_optimized_alloc.num_replicas?,
            at_ms: recorded.written_ms().unwrap_or(0),
        })
    }
}

impl Index {
    /// The cluster as of now. Remembers how long targets took to start, for when they have no
    /// replicas. `unseen` says which of the nodes, pods and devices are not known, where some are not.
    pub(crate) fn view(&mut self, unseen: Option<String>) -> View {
        let (claimed, mut refused) = self.claimed();
        let pods = PodsOfTargets::new(self, &claimed);
        let accelerators = Accelerators::new(self, claimed.iter().map(|member| member.target));
        let mut starts = BTreeMap::new();
        let mut pools = Vec::new();
        for (place, mut members) in groups(self, claimed, &mut refused) {
            members.sort_by(|a, b| a.name.cmp(&b.name));
            pools.push(self.pool(&place, &members, (&pods, &accelerators), &mut starts));
        }
        drop((pods, accelerators));
        let scalers = self.scalers_by_target();
        for pool in &mut pools {
            for (of, variant) in pool.variants.iter_mut().zip(&pool.fleet.pool.variants) {
                let of_target = scalers.get(&of.target).map_or(&[][..], Vec::as_slice);
                of.scalers = scalers::views(of_target, &variant.name);
            }
        }
        self.starts.extend(starts);
        refused.sort_by(|a, b| a.claimant.cmp(&b.claimant));
        let inventory = unseen.map_or_else(|| self.inventory(), Err);
        View {
            scaled_objects: self.scaled_objects(&pools),
            policies: self.policies_of(&pools),
            pools,
            refused,
            inventory,
        }
    }

    /// Policies of this operator.
    pub(crate) fn policies_of(&self, pools: &[PoolView]) -> PolicyView {
        PolicyView::new(
            self.ours(&self.policies),
            self.ours(&self.pool_policies),
            pools.iter().map(|pool| &pool.fleet),
        )
    }

    fn ours<S, T>(
        &self,
        all: &BTreeMap<Key, Arc<Stored<S, T>>>,
    ) -> BTreeMap<Key, Arc<Stored<S, T>>> {
        let instance = self.config.controller_instance.as_ref();
        let is_ours = |of: &Stored<S, T>| {
            instance.is_none_or(|instance| of.labels.get(CONTROLLER_INSTANCE) == Some(instance))
        };
        let ours = all.iter().filter(|(_, object)| is_ours(object));
        ours.map(|(key, object)| (key.clone(), Arc::clone(object)))
            .collect()
    }

    /// Claims of this operator, each with its target; and those that have none, or not alone.
    fn claimed(&self) -> (Vec<Claimed<'_>>, Vec<Refused>) {
        let rivals = Rivals::new(self);
        let mut claimed = Vec::new();
        let mut refused = Vec::new();
        for (claimant, claim) in &self.claims {
            if !self.is_ours(claimant, claim) || self.stands_back(claimant, claim) {
                continue;
            }
            match self.resolve(claimant, claim, &rivals) {
                Ok(found) => claimed.push(found),
                Err((why, message)) => refused.push(Refused::new(claimant, claim, why, message)),
            }
        }
        (claimed, refused)
    }

    /// Whether nothing but a call of KEDA's makes this a claim.
    fn is_registered(&self, claimant: &Claimant) -> bool {
        let claim = self.claims.get(claimant);
        claim.is_some_and(|claim| claim.registered)
    }

    /// What scales a workload that another object claims is no claim of its own.
    fn stands_back(&self, claimant: &Claimant, claim: &Claim) -> bool {
        let mut others = self.claimants.get(&claim.target).into_iter().flatten();
        let is_stronger = |of: &Claimant| of != claimant && !self.is_registered(of);
        claim.registered && others.any(is_stronger)
    }

    fn is_ours(&self, claimant: &Claimant, claim: &Claim) -> bool {
        let instance = self.config.controller_instance.as_ref();
        let is_of_instance =
            instance.is_none_or(|instance| claim.instance.as_ref() == Some(instance));
        is_of_instance && !self.is_excluded(claimant)
    }

    fn is_excluded(&self, claimant: &Claimant) -> bool {
        let namespace = &claimant.namespace;
        self.excluded.contains(namespace) || self.config.excluded_namespaces.contains(namespace)
    }

    fn resolve<'a>(
        &'a self,
        claimant: &'a Claimant,
        claim: &'a Claim,
        rivals: &Rivals<'_>,
    ) -> Result<Claimed<'a>, (Why, String)> {
        let key = &claim.target;
        if key.name.is_empty() {
            let message = "scaleTargetRef.name is empty: name the workload to scale";
            return Err((Why::Invalid, message.to_owned()));
        }
        if let Some(message) = &claim.unreadable {
            return Err((Why::Invalid, message.clone()));
        }
        if let Some(message) = rivals.of(claimant, key) {
            return Err((Why::Conflict, message));
        }
        let mut unusable = self.unusable.iter();
        if let Some((_, why)) = unusable.find(|((group, kind), _)| key.is_of(group, kind)) {
            let reason = match why {
                Unusable::Unread(_) => Why::TargetNotFound,
                Unusable::NoScale | Unusable::NoNamespace => Why::Invalid,
            };
            return Err((reason, format!("{key} cannot be scaled: {why}")));
        }
        let target = self.targets.get(key).filter(|target| !target.deleting);
        let Some(target) = target else {
            return Err((
                Why::TargetNotFound,
                format!("{key} does not exist, or is being deleted"),
            ));
        };
        let well_known = WELL_KNOWN
            .iter()
            .any(|(group, kind)| key.is_of(group, kind));
        if !target.says_replicas && !well_known {
            let message = format!(
                "{key} does not say how many replicas it has, where its kind's `scale` subresource \
                 reads it (most often `.spec.replicas`): set it"
            );
            return Err((Why::Invalid, message));
        }
        let engine = target.engine.as_ref();
        let model = claim.model.clone();
        let Some(model) = model.or_else(|| engine?.model.clone()) else {
            let message = format!(
                "no model: set spec.modelID or the annotation llm-d.ai/model-id; the command line \
                 of {key} names none either"
            );
            return Err((Why::Invalid, message));
        };
        let name = claim.name.as_ref().unwrap_or(match claimant.way {
            Way::VariantAutoscaling => &claimant.name,
            Way::HorizontalPodAutoscaler | Way::ScaledObject => &key.name,
        });
        Ok(Claimed {
            claimant,
            claim,
            target,
            model,
            name: name.clone(),
            warnings: [claim.faults.as_slice(), &target.faults].concat(),
        })
    }

    fn pool(
        &self,
        place: &Place,
        members: &[Claimed<'_>],
        (pods, accelerators): (&PodsOfTargets<'_>, &Accelerators<'_>),
        starts: &mut BTreeMap<TargetKey, f64>,
    ) -> PoolView {
        let namespace = &place.namespace;
        let mut fleet = FleetPool {
            pool: Pool {
                name: place.name.clone(),
                namespace: namespace.clone(),
                model: place.model.clone(),
                objective: NO_OBJECTIVE,
                workload: Workload::UNMEASURED,
                variants: Vec::with_capacity(members.len()),
            },
            picker: place.picker.clone(),
            replicas: Vec::new(),
            rules: PoolRules::default(),
        };
        let mut variants = Vec::with_capacity(members.len());
        for (position, member) in members.iter().enumerate() {
            let counted = pods.count(member, position as u32);
            let seen = counted.startup_seconds;
            let startup = seen.or_else(|| self.starts.get(&member.claim.target).copied());
            starts.extend(seen.map(|seen| (member.claim.target.clone(), seen)));
            let mut warnings = member.warnings.clone();
            let variant = self.variant(member, &counted, accelerators, startup, &mut warnings);
            fleet.pool.variants.push(variant);
            fleet.replicas.extend(counted.replicas);
            variants.push(VariantView {
                claimant: member.claimant.clone(),
                uid: member.claim.uid.clone(),
                target: member.claim.target.clone(),
                spec_replicas: member.target.spec_replicas,
                recorded: member.claim.recorded.clone(),
                scalers: Vec::new(),
                not_made: member.target.not_made.clone(),
                unschedulable: counted.unschedulable,
                warnings,
            });
        }
        PoolView { fleet, variants }
    }

    fn variant(
        &self,
        member: &Claimed<'_>,
        counted: &Counted<'_>,
        accelerators: &Accelerators<'_>,
        startup_time: Option<f64>,
        warnings: &mut Vec<String>,
    ) -> Variant {
        let (claim, target) = (member.claim, member.target);
        let role = target.role().unwrap_or_else(|warning| {
            warnings.push(warning);
            trimtab_contract::Role::Both
        });
        let nodes = counted.nodes.iter().copied();
        let accelerator = accelerators.of(target, claim.accelerator.as_deref(), nodes, warnings);
        let devices = self.devices_asked_for(&claim.target.namespace, target, warnings);
        let gpus = target.gpus.values();
        let gpus = gpus.fold(devices, |sum, count| sum.saturating_add(*count));
        let engine = target.engine.as_ref();
        let engine = engine.map(|engine| engine.on(&accelerator));
        Variant {
            name: member.name.clone(),
            gpus_per_replica: gpus,
            cost: claim.cost,
            role,
            min_replicas: claim.min_replicas,
            max_replicas: claim.max_replicas,
            current_replicas: counted.current,
            ready_replicas: counted.ready,
            desired_replicas: target.spec_replicas,
            startup_time,
            engine,
            accelerator,
        }
    }

    /// Accelerators of one replica by its device claims.
    fn devices_asked_for(
        &self,
        namespace: &str,
        target: &Target,
        warnings: &mut Vec<String>,
    ) -> u32 {
        let mut absent = BTreeSet::new();
        let mut others = BTreeSet::new();
        let mut sum = 0_u32;
        for template in &target.claim_templates {
            let key = (namespace.to_owned(), template.clone());
            match self.claim_templates.get(&key) {
                Some(asked) => {
                    sum = sum.saturating_add(asked.accelerators);
                    others.extend(asked.others.iter().map(String::as_str));
                }
                None => drop(absent.insert(template)),
            }
        }
        if sum == 0 && target.gpus.is_empty() && !others.is_empty() {
            let others: Vec<&str> = others.into_iter().collect();
            let others = others.join("`, `");
            warnings.push(format!(
                "it asks for devices of class `{others}`, which by its name is of no accelerator: \
                 they are not counted as GPUs"
            ));
        }
        warnings.extend(absent.into_iter().map(|template| {
            format!("ResourceClaimTemplate `{template}` is not there: its GPUs are not counted")
        }));
        sum
    }
}
