//! Which variants of a pool without replicas are to be started when a request waits: the cheapest
//! that can serve it, and no more.

use trimtab_contract::{Accelerator, Pool, Role, Variant};

/// Positions of the variants to start, with one replica each. None where something serves or starts
/// already; an error where something is needed and nothing can be started, which says why.
///
/// `free` are the GPUs that are known to be free; `None` where growth is not held to them.
///
/// # Errors
/// No variant can be started.
pub fn to_start(pool: &Pool, free: Option<&[Accelerator]>) -> Result<Vec<usize>, String> {
    let awake = |role: Role| {
        let mut variants = pool.variants.iter();
        variants.any(|of| of.role == role && is_awake(of))
    };
    if awake(Role::Both) {
        return Ok(Vec::new());
    }
    let halves = [Role::Prefill, Role::Decode].into_iter();
    let halves: Vec<Role> = halves
        .filter(|role| pool.variants.iter().any(|of| of.role == *role))
        .collect();
    let missing: Vec<Role> = halves
        .iter()
        .copied()
        .filter(|role| !awake(*role))
        .collect();
    if !halves.is_empty() && missing.is_empty() {
        return Ok(Vec::new());
    }
    let whole = cheapest(pool, Role::Both, free);
    let parts: Option<Vec<(usize, &Variant)>> = missing
        .iter()
        .map(|role| cheapest(pool, *role, free))
        .collect();
    let parts = parts.filter(|parts| !parts.is_empty() && fit_together(parts, free));
    let cost = |parts: &[(usize, &Variant)]| parts.iter().map(|(_, of)| of.cost).sum::<f64>();
    let chosen = match (whole, parts) {
        (Some(whole), Some(parts)) if cost(&parts) < whole.1.cost => parts,
        (Some(whole), _) => vec![whole],
        (None, Some(parts)) => parts,
        (None, None) => return Err(why_none(pool, free)),
    };
    Ok(chosen.into_iter().map(|(at, _)| at).collect())
}

fn is_awake(variant: &Variant) -> bool {
    variant.desired_replicas > 0 || variant.current_replicas > 0
}

/// Of equal cost, the first by name.
fn cheapest<'a>(
    pool: &'a Pool,
    role: Role,
    free: Option<&[Accelerator]>,
) -> Option<(usize, &'a Variant)> {
    let of_role = pool.variants.iter().enumerate();
    let fitting = of_role.filter(|(_, of)| of.role == role && is_startable(of, free));
    fitting.min_by(|(_, a), (_, b)| a.cost.total_cmp(&b.cost).then_with(|| a.name.cmp(&b.name)))
}

fn is_startable(variant: &Variant, free: Option<&[Accelerator]>) -> bool {
    variant.max_replicas > 0 && available(variant, free) >= variant.gpus_per_replica
}

/// Free GPUs of a variant's kind; of a kind that the inventory does not know, nobody knows.
fn available(variant: &Variant, free: Option<&[Accelerator]>) -> u32 {
    let mut free = free.into_iter().flatten();
    let known = free.find(|of| of.name == variant.accelerator);
    known.map_or(u32::MAX, |of| {
        of.quota
            .map_or(of.available, |quota| quota.min(of.available))
    })
}

/// Whether the GPUs suffice for all of them at once.
fn fit_together(parts: &[(usize, &Variant)], free: Option<&[Accelerator]>) -> bool {
    parts.iter().all(|(_, of)| {
        let alike = parts
            .iter()
            .filter(|(_, other)| other.accelerator == of.accelerator);
        let needed = alike.fold(0_u32, |sum, (_, of)| {
            sum.saturating_add(of.gpus_per_replica)
        });
        available(of, free) >= needed
    })
}

fn why_none(pool: &Pool, free: Option<&[Accelerator]>) -> String {
    let variants = pool.variants.iter().map(|of| {
        let name = &of.name;
        if of.max_replicas == 0 {
            format!("`{name}` may have no replica")
        } else if is_startable(of, free) {
            format!("`{name}` alone does not serve a request, or not beside the others")
        } else {
            let (needed, free) = (of.gpus_per_replica, available(of, free));
            let accelerator = &of.accelerator;
            format!("`{name}` needs {needed} GPUs of {accelerator}, of which {free} are free")
        }
    });
    variants.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use trimtab_contract::{Objective, Workload};

    use super::*;

    fn variant(name: &str, role: Role, cost: f64) -> Variant {
        Variant {
            name: name.to_owned(),
            accelerator: "H100".to_owned(),
            gpus_per_replica: 2,
            cost,
            role,
            min_replicas: 0,
            max_replicas: 4,
            current_replicas: 0,
            ready_replicas: 0,
            desired_replicas: 0,
            startup_time: None,
            engine: None,
        }
    }

    fn pool(variants: Vec<Variant>) -> Pool {
        Pool {
            name: "p".to_owned(),
            namespace: "n".to_owned(),
            model: "m".to_owned(),
            objective: Objective {
                ttft: None,
                itl: None,
                throughput: None,
                percentile: 0.95,
                priority: 1,
            },
            workload: Workload::UNMEASURED,
            variants,
        }
    }

    fn free(count: u32) -> Vec<Accelerator> {
        vec![Accelerator {
            name: "H100".to_owned(),
            total: 8,
            available: count,
            quota: None,
        }]
    }

    fn started(variants: &[Variant], free: Option<&[Accelerator]>) -> Vec<String> {
        let pool = pool(variants.to_vec());
        let positions = to_start(&pool, free).unwrap();
        positions
            .into_iter()
            .map(|at| pool.variants[at].name.clone())
            .collect()
    }

    #[test]
    fn of_three_variants_the_cheapest_is_started_alone() {
        let three = [("a", 5.0), ("b", 2.0), ("c", 3.0)];
        let mut three = three.map(|(name, cost)| variant(name, Role::Both, cost));
        assert_eq!(started(&three, None), ["b"]);
        three[1].max_replicas = 0;
        assert_eq!(started(&three, None), ["c"]);
        three[2].accelerator = "L4".to_owned();
        assert_eq!(
            started(&three, Some(&free(1))),
            ["c"],
            "only its kind is not short"
        );
    }

    #[test]
    fn a_variant_that_serves_or_starts_wakes_nobody() {
        let mut two = [variant("a", Role::Both, 5.0), variant("b", Role::Both, 2.0)];
        two[0].desired_replicas = 1;
        assert!(started(&two, None).is_empty());
        two[0].desired_replicas = 0;
        two[0].current_replicas = 1;
        assert!(started(&two, None).is_empty());
    }

    #[test]
    fn of_each_role_that_a_request_needs_one_is_started() {
        let mut three = [
            variant("p", Role::Prefill, 4.0),
            variant("d", Role::Decode, 3.0),
            variant("e", Role::Decode, 2.0),
        ];
        assert_eq!(started(&three, None), ["p", "e"]);
        assert_eq!(started(&three, Some(&free(4))), ["p", "e"]);
        let short = to_start(&pool(three.to_vec()), Some(&free(3))).unwrap_err();
        assert!(short.contains("not beside the others"), "{short}");
        three[1].desired_replicas = 1;
        assert_eq!(started(&three, None), ["p"], "a decode starts already");
        three[0].desired_replicas = 1;
        assert!(started(&three, None).is_empty());
    }

    #[test]
    fn one_that_does_both_is_started_where_that_is_cheaper() {
        let of = |cost| {
            [
                variant("p", Role::Prefill, 4.0),
                variant("d", Role::Decode, 3.0),
                variant("w", Role::Both, cost),
            ]
        };
        assert_eq!(started(&of(6.0), None), ["w"]);
        assert_eq!(started(&of(8.0), None), ["p", "d"]);
        assert_eq!(
            started(&of(8.0), Some(&free(2))),
            ["w"],
            "there is no room for two"
        );
        let mut half = of(6.0);
        half[0].desired_replicas = 1;
        assert_eq!(started(&half, None), ["d"], "the other half is there");
    }

    #[test]
    fn where_nothing_can_be_started_it_is_said_why() {
        let mut two = vec![variant("a", Role::Both, 5.0), variant("b", Role::Both, 2.0)];
        two[0].max_replicas = 0;
        let why = to_start(&pool(two), Some(&free(1))).unwrap_err();
        assert_eq!(
            why,
            "`a` may have no replica; `b` needs 2 GPUs of H100, of which 1 are free"
        );
    }
}
