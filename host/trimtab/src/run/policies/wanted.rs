//! What ScalingPolicies ask of the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use trimtab_cluster::crd::policy::{ConfigMapSource, OciSource, PolicyLimits, PolicySource};
use trimtab_cluster::policies::PolicyView;
use trimtab_cluster::{BinaryData, Held, Key};
use trimtab_core::policies::Digest;
use trimtab_sandbox::{Limits, PolicyKey, Remote, Scaled, Source, Wanted};

use super::number;
use crate::run::config::Maxima;

/// Default memory of an amount that scales, by which a share of the deadline is held.
const MILLIS: f64 = 1000.0;

/// ConfigMaps that policies are said to be in.
pub(super) fn config_maps(view: &PolicyView) -> BTreeSet<Key> {
    let sources = sources(view);
    let maps = sources.filter_map(|(namespace, source)| {
        let map = source.config_map.as_ref()?;
        Some((namespace.to_owned(), map.name.clone()))
    });
    maps.collect()
}

/// Secrets with registries' credentials.
pub(super) fn secrets(view: &PolicyView) -> BTreeSet<Key> {
    let sources = sources(view);
    let secrets = sources.flat_map(|(namespace, source)| {
        let secrets = source.oci.iter().flat_map(|oci| &oci.pull_secrets);
        secrets.map(move |secret| (namespace.to_owned(), secret.name.clone()))
    });
    secrets.collect()
}

fn sources(view: &PolicyView) -> impl Iterator<Item = (&str, &PolicySource)> {
    let policies = view.policies.iter();
    policies.filter_map(|((namespace, _), stored)| {
        let spec = stored.spec.as_ref().ok()?;
        Some((namespace.as_str(), &spec.source))
    })
}

/// Docker configurations that were read, or why not, by Secret.
pub(super) type Secrets = BTreeMap<Key, Result<Arc<[u8]>, String>>;

/// What is at hand of what policies are in.
pub(super) struct AtHand<'a> {
    pub(super) config_map: &'a dyn Fn(&Key) -> Held,
    pub(super) secrets: &'a Secrets,
    pub(super) maxima: &'a Maxima,
}

/// What is wanted. Of what is not known yet, what was wanted before stays.
pub(super) fn wanted(
    view: &PolicyView,
    before: &BTreeMap<PolicyKey, Wanted>,
    at_hand: &AtHand<'_>,
) -> BTreeMap<PolicyKey, Wanted> {
    let policies = view.policies.iter();
    let wanted = policies.filter_map(|(key, stored)| {
        let spec = stored.spec.as_ref().ok()?;
        let Some(source) = source(&key.0, &spec.source, at_hand) else {
            return Some((key.clone(), before.get(key)?.clone()));
        };
        let wanted = Wanted {
            source,
            digest: spec.digest.clone().map(Digest),
            limits: limits(spec.limits.as_ref(), at_hand.maxima),
            owner: owner(key, stored.generation),
            generation: stored.generation,
        };
        Some((key.clone(), wanted))
    });
    wanted.collect()
}

/// A ScalingPolicy as it is now: edited, it begins anew.
fn owner((namespace, name): &Key, generation: i64) -> u64 {
    number(&format!("{namespace}/{name} {generation}"))
}

/// `None` while it is not known.
fn source(namespace: &str, source: &PolicySource, at_hand: &AtHand<'_>) -> Option<Source> {
    if let Some(name) = &source.builtin {
        return Some(Source::Builtin(name.clone()));
    }
    if let Some(directory) = &source.directory {
        return Some(Source::File(PathBuf::from(&directory.file)));
    }
    if let Some(map) = &source.config_map {
        let key = (namespace.to_owned(), map.name.clone());
        let of = format!("ConfigMap {namespace}/{}", map.name);
        return Some(match (at_hand.config_map)(&key) {
            Held::Unknown => return None,
            Held::Absent => missing(format!("{of} does not exist")),
            Held::Failed(why) => missing(format!("{of} cannot be read: {why}")),
            Held::Data(data) => component(map, &data, &of),
        });
    }
    if let Some(oci) = &source.oci {
        return remote(namespace, oci, at_hand.secrets);
    }
    Some(missing("spec.source names nothing".to_owned()))
}

fn missing(why: String) -> Source {
    Source::Missing { why }
}

fn component(map: &ConfigMapSource, data: &BinaryData, of: &str) -> Source {
    let found = match &map.key {
        Some(key) => data
            .get(key)
            .ok_or_else(|| format!("{of} has no `{key}` in binaryData")),
        None => {
            let mut values = data.values();
            let only = values.next().filter(|_| data.len() == 1);
            only.ok_or_else(|| {
                let count = data.len();
                format!(
                    "{of} has {count} keys in binaryData: name one in spec.source.configMap.key"
                )
            })
        }
    };
    found.map_or_else(missing, |bytes| Source::Bytes(Arc::clone(bytes)))
}

fn remote(namespace: &str, oci: &OciSource, secrets: &Secrets) -> Option<Source> {
    let mut credentials = Vec::new();
    for secret in &oci.pull_secrets {
        match secrets.get(&(namespace.to_owned(), secret.name.clone()))? {
            Ok(config) => credentials.push(Arc::clone(config)),
            Err(why) => return Some(missing(why.clone())),
        }
    }
    Some(Source::Remote(Remote {
        reference: oci.reference.clone(),
        credentials,
    }))
}

/// What a call may use: what is asked for, as far as it is allowed.
pub(super) fn limits(asked: Option<&PolicyLimits>, maxima: &Maxima) -> Limits {
    let mut limits = Limits::default();
    let asked = asked.cloned().unwrap_or_default();
    let [memory, state] = asked.bytes();
    let most_ms = (maxima.deadline_seconds.seconds() * MILLIS) as u64;
    let deadline = asked
        .deadline_seconds
        .map(|seconds| (seconds * MILLIS) as u64);
    let base = |amount: &mut Scaled, asked: Option<u64>, most: u64| {
        amount.base = asked.unwrap_or(amount.base).min(most).max(1);
    };
    base(&mut limits.deadline_ms, deadline, most_ms);
    base(
        &mut limits.memory_bytes,
        memory,
        u64::from(maxima.memory_mib) << 20,
    );
    base(
        &mut limits.state_bytes,
        state,
        u64::from(maxima.state_kib) << 10,
    );
    let factor = asked
        .fuel_factor
        .unwrap_or(1.0)
        .min(maxima.fuel_factor)
        .max(0.0);
    let fuel = limits.fuel;
    let times = |amount: u64| (amount as f64 * factor) as u64;
    limits.fuel = Scaled::new(
        times(fuel.base),
        times(fuel.per_variant),
        times(fuel.per_replica),
    )
    .per_memory_kib(times(fuel.per_memory_kib));
    limits
}

/// What of the limits that are asked for is not allowed, in words.
pub(super) fn capped(asked: &PolicyLimits, maxima: &Maxima) -> Vec<String> {
    let [memory, state] = asked.bytes();
    let over = |asked: Option<f64>, most: f64| asked.is_some_and(|asked| asked > most);
    let mib = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64 / f64::from(1 << 20));
    let kib = |bytes: Option<u64>| bytes.map(|bytes| bytes as f64 / f64::from(1 << 10));
    let seconds = maxima.deadline_seconds.seconds();
    let found = [
        (
            over(asked.deadline_seconds, seconds),
            format!("deadlineSeconds to {seconds}"),
        ),
        (
            over(asked.fuel_factor, maxima.fuel_factor),
            format!("fuelFactor to {}", maxima.fuel_factor),
        ),
        (
            over(mib(memory), f64::from(maxima.memory_mib)),
            format!("memory to {}Mi", maxima.memory_mib),
        ),
        (
            over(kib(state), f64::from(maxima.state_kib)),
            format!("state to {}Ki", maxima.state_kib),
        ),
    ];
    let over = found.into_iter().filter(|(is_over, _)| *is_over);
    over.map(|(_, what)| what).collect()
}
