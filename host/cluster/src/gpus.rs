//! Accelerators as Kubernetes counts them: resource names, node labels, what a pod asks for.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube_quantity::ParsedQuantity;

use crate::objects::Labels;
use crate::objects::template::{Container, Resources};

/// Accelerators by resource name.
pub(crate) type Counts = BTreeMap<String, u32>;

/// Name of an accelerator that is not known.
pub const UNRESOLVED: &str = "unresolved";

/// Node labels that name an accelerator, the more exact first. Pods choose by the same.
pub(crate) const PRODUCT_LABELS: [&str; 7] = [
    "nvidia.com/gpu.product",
    "amd.com/gpu.product-name",
    "beta.amd.com/gpu.product-name",
    "habana.ai/product.name",
    "gpu.intel.com/product",
    "cloud.google.com/gke-accelerator",
    "cloud.google.com/gke-tpu-accelerator",
];

/// Whether a resource is an accelerator, or a part of one that is given out by itself.
pub(crate) fn is_accelerator(resource: &str) -> bool {
    let Some((vendor, device)) = resource.split_once('/') else {
        return false;
    };
    match vendor {
        "nvidia.com" => matches!(device, "gpu" | "gpu.shared") || device.starts_with("mig-"),
        // In mixed mode a partition's resource is named after its layout, e.g. `cpx_nps4`.
        "amd.com" => device == "gpu" || device.contains("_nps"),
        // Their `_monitoring` twins are for looking, not for computing.
        "gpu.intel.com" => matches!(device, "i915" | "xe"),
        "habana.ai" => device == "gaudi",
        "google.com" => device == "tpu",
        _ => false,
    }
}

/// The product that a node's labels name.
pub(crate) fn product(labels: &Labels) -> Option<&str> {
    let mut labels = PRODUCT_LABELS.iter().filter_map(|label| labels.get(*label));
    labels.next().map(String::as_str)
}

/// The name of an accelerator on a node: its product, with the profile of a partition.
pub(crate) fn name(labels: &Labels, resource: &str) -> String {
    let product = product(labels).unwrap_or(resource);
    if product == resource {
        return product.to_owned();
    }
    match resource.split_once('/') {
        Some(("amd.com", layout)) if layout.contains("_nps") && !layout.starts_with("spx") => {
            format!("{product}-{layout}")
        }
        Some((_, device)) => match device.strip_prefix("mig-") {
            Some(profile) => format!("{product}-MIG-{profile}"),
            None => product.to_owned(),
        },
        None => product.to_owned(),
    }
}

/// Accelerators among a node's allocatable resources.
pub(crate) fn of_resources(resources: &BTreeMap<String, Quantity>) -> Counts {
    let accelerators = resources.iter().filter(|(name, _)| is_accelerator(name));
    let counts = accelerators.map(|(name, quantity)| (name.clone(), whole(quantity)));
    counts.filter(|(_, count)| *count > 0).collect()
}

/// Accelerators that a pod holds: what its containers and sidecars ask for together, or one of
/// its other init containers with the sidecars that started before it, where that is more.
pub(crate) fn of_pod(containers: &[Container], init_containers: &[Container]) -> Counts {
    let mut together = Counts::new();
    let mut at_start = Counts::new();
    for container in init_containers {
        let asked = requested(&container.resources);
        if container.restart_policy.as_deref() == Some("Always") {
            add(&mut together, &asked);
        } else {
            let mut beside = together.clone();
            add(&mut beside, &asked);
            raise(&mut at_start, beside);
        }
    }
    for container in containers {
        add(&mut together, &requested(&container.resources));
    }
    raise(&mut together, at_start);
    together
}

fn raise(counts: &mut Counts, to: Counts) {
    for (resource, count) in to {
        let most = counts.entry(resource).or_default();
        *most = (*most).max(count);
    }
}

/// Extended resources must have equal requests and limits; either may be left out.
fn requested(resources: &Resources) -> Counts {
    let mut counts = of_resources(&resources.limits);
    counts.extend(of_resources(&resources.requests));
    counts
}

pub(crate) fn add(counts: &mut Counts, more: &Counts) {
    for (resource, count) in more {
        let sum = counts.entry(resource.clone()).or_default();
        *sum = sum.saturating_add(*count);
    }
}

/// Devices are whole; what cannot be read is none.
fn whole(quantity: &Quantity) -> u32 {
    let parsed = ParsedQuantity::try_from(quantity).ok();
    let value = parsed.and_then(|quantity| quantity.to_bytes_f64());
    value.map_or(0, |value| value.clamp(0.0, f64::from(u32::MAX)) as u32)
}
