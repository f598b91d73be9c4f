//! Devices that are given out by dynamic resource allocation.

use std::collections::{BTreeMap, BTreeSet};

use crate::objects::device::{
    Device, ResourceClaim, ResourceClaimTemplate, ResourceSlice, SlicePool,
};

/// One slice of a driver's pool of devices.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slice {
    driver: String,
    pool: SlicePool,
    node: Option<String>,
    devices: Vec<Device>,
}

/// A device as claims name it: driver, pool, device.
pub(crate) type DeviceKey = (String, String, String);

/// Devices as far as drivers have told of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Devices<'a> {
    pub(crate) known: BTreeMap<DeviceKey, Known<'a>>,
    /// Slices of pools of which some are not there yet.
    pub(crate) untold: Vec<Untold<'a>>,
}

/// A slice of a pool of devices that its driver has not told all of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Untold<'a> {
    pub(crate) driver: &'a str,
    pub(crate) pool: &'a str,
    /// `None` for a pool of no node.
    pub(crate) node: Option<&'a str>,
}

/// What is known of a device.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Known<'a> {
    pub(crate) accelerator: String,
    pub(crate) node: Option<&'a str>,
    /// The card that it is cut from, where that is known too: then it does not count by itself.
    pub(crate) card: Option<DeviceKey>,
}

impl Slice {
    /// `None` where the driver's devices are no accelerators.
    pub(super) fn of(object: ResourceSlice) -> Option<Self> {
        let spec = object.spec;
        is_accelerator(&spec.driver).then_some(Self {
            driver: spec.driver,
            pool: spec.pool,
            node: spec.node_name,
            devices: spec.devices,
        })
    }
}

/// Drivers and device classes of accelerators, e.g. `gpu.nvidia.com`, `mig.nvidia.com`.
fn is_accelerator(name: &str) -> bool {
    ["gpu.", "mig.", "gaudi.", "tpu."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Of a pool only the newest generation counts.
pub(crate) fn devices<'a>(slices: impl Iterator<Item = &'a Slice> + Clone) -> Devices<'a> {
    let mut newest: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for slice in slices.clone() {
        let generation = newest
            .entry((&slice.driver, &slice.pool.name))
            .or_insert(slice.pool.generation);
        *generation = (*generation).max(slice.pool.generation);
    }
    let mut pools: BTreeMap<(&str, &str), Vec<&Slice>> = BTreeMap::new();
    for slice in slices {
        let key = (slice.driver.as_str(), slice.pool.name.as_str());
        if newest.get(&key) == Some(&slice.pool.generation) {
            pools.entry(key).or_default().push(slice);
        }
    }
    let mut devices = Devices::default();
    for ((driver, pool), slices) in pools {
        let complete = |slice: &&Slice| slice.pool.resource_slice_count <= slices.len() as i64;
        if !slices.iter().all(complete) {
            let untold = slices.iter().map(|slice| Untold {
                driver,
                pool,
                node: slice.node.as_deref(),
            });
            devices.untold.extend(untold);
        }
        let key = |device: &Device| (driver.to_owned(), pool.to_owned(), device.name.clone());
        let all = slices.iter().flat_map(|slice| &slice.devices);
        let cards: BTreeMap<&str, &Device> = all
            .filter_map(|device| Some((text(device, "uuid")?, device)))
            .collect();
        for slice in &slices {
            for device in &slice.devices {
                let card = text(device, "parentUUID").and_then(|uuid| cards.get(uuid));
                let of = Known {
                    accelerator: accelerator(driver, device),
                    node: slice.node.as_deref(),
                    card: card.map(|card| key(card)),
                };
                devices.known.insert(key(device), of);
            }
        }
    }
    devices
}

/// The product as node labels spell it: without spaces.
fn accelerator(driver: &str, device: &Device) -> String {
    let product = text(device, "productName").or_else(|| text(device, "model"));
    let product = product.map_or_else(|| driver.to_owned(), |name| name.replace(' ', "-"));
    match (text(device, "type"), text(device, "profile")) {
        (Some("mig"), Some(profile)) => format!("{product}-MIG-{profile}"),
        _ => product,
    }
}

fn text<'a>(device: &'a Device, attribute: &str) -> Option<&'a str> {
    device.attributes.get(attribute)?.string.as_deref()
}

/// Devices that a claim holds; access for administration takes nothing from others.
pub(super) fn held(claim: ResourceClaim) -> Vec<DeviceKey> {
    let results = claim.status.allocation.devices.results;
    let held = results.into_iter().filter(|result| !result.admin_access);
    held.map(|result| (result.driver, result.pool, result.device))
        .collect()
}

/// What one claim made from a template asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) accelerators: u32,
    /// Device classes that by their names are of no accelerator, though they may be.
    pub(crate) others: BTreeSet<String>,
}

pub(super) fn asked(template: ResourceClaimTemplate) -> Asked {
    let mut asked = Asked::default();
    for request in template.spec.spec.devices.requests {
        let mut choices = request.exactly.into_iter().chain(request.first_available);
        let Some(request) = choices.next().filter(|request| !request.admin_access) else {
            continue;
        };
        if is_accelerator(&request.device_class_name) {
            let count = request.count.unwrap_or(1);
            asked.accelerators = asked.accelerators.saturating_add(count);
        } else {
            asked.others.insert(request.device_class_name);
        }
    }
    asked
}
