//! What the operator may, whether one leads, and whether HPAs are told by it.

use trimtab_cluster::delegation::Owner;
use trimtab_cluster::lease::Held;
use trimtab_cluster::rights::{Need, Scope};

use super::{Area, Check, Level};
use crate::doctor::facts::{Asked, Facts, Leader};

pub(super) fn rights(facts: &Facts) -> Vec<Check> {
    let whom = &facts.whom;
    if facts.exists == Ok(false) {
        let nobody = Check::ok(Area::Rights, "rights", format!("there is no {whom}"));
        return vec![nobody.failed(
            "install Trimtab, or name the operator's service account: --as NAMESPACE/NAME",
        )];
    }
    let unknown = facts.exists.as_ref().err();
    let unknown = unknown.map(|why| Check::unknown(Area::Rights, "service account", why));
    let mut checks: Vec<Check> = facts.rights.iter().filter_map(lacking).collect();
    if checks.is_empty() {
        let found = format!("{whom} has all {} that are needed", facts.rights.len());
        checks.push(Check::ok(Area::Rights, "rights", found));
    }
    for check in &mut checks {
        if check.level > Level::Ok {
            check.found = format!("{whom}: {}", check.found);
        }
    }
    checks.extend(unknown);
    checks
}

fn lacking(asked: &Asked) -> Option<Check> {
    let right = &asked.right;
    let dot = if right.group.is_empty() { "" } else { "." };
    let what = format!("right to {}{dot}{}", right.resource, right.group);
    let lacks = match &asked.lacks {
        Err(why) => return Some(Check::unknown(Area::Rights, what, why)),
        Ok(lacks) if lacks.is_empty() => return None,
        Ok(lacks) => lacks.join("`, `"),
    };
    let place = match (&asked.namespace, right.scope) {
        (Some(namespace), _) => format!(" in namespace {namespace}"),
        (None, Scope::Cluster) => String::new(),
        (None, _) => " in all namespaces".to_owned(),
    };
    let check = Check::ok(Area::Rights, what, format!("lacks `{lacks}`{place}"));
    let lost = match right.need {
        Need::Always | Need::WithKind => "without it nothing is decided",
        Need::Inventory => "without it GPUs are not known",
        Need::Scaling => "without it no pool is started from zero, nor scaled directly",
        Need::Tolerance => "without it tolerances of HPAs stay as they are",
        Need::ExternalMetrics | Need::OwnCertificate => "without it HPAs are told nothing",
        Need::LeaderLabel => "without it Services do not find the leader",
        Need::Comfort(lost) => lost,
    };
    let todo = format!("grant `{lacks}`{place}, for {}: {lost}", right.purpose);
    let needed = matches!(
        right.need,
        Need::Always | Need::WithKind | Need::ExternalMetrics | Need::OwnCertificate
    );
    let level = if needed {
        Level::Failed
    } else {
        Level::Warning
    };
    Some(check.needs(level, todo))
}

pub(super) fn leader(facts: &Facts) -> Vec<Check> {
    let Some(leader) = &facts.leader else {
        return vec![Check::ok(Area::Leader, "leader", "no election is wanted")];
    };
    let held = match &leader.held {
        Err(why) => Check::unknown(Area::Leader, "leader", why),
        Ok(held) => lease(leader, held.as_ref(), facts.now_ms),
    };
    vec![held, labelled(leader)]
}

/// Clocks of different machines need not agree: a Lease is old when it is twice as old as it may be.
const SLACK: u64 = 2;

fn lease(leader: &Leader, held: Option<&Held>, now_ms: u64) -> Check {
    let lease = &leader.lease;
    let found = |found: String| Check::ok(Area::Leader, "leader", found);
    let Some(held) = held else {
        return found(format!("there is no Lease {lease}")).failed(
            "start the operator; or name its namespace (--as, or leaderElection.namespace) and its \
             Lease (leaderElection.leaseName)",
        );
    };
    let Some(holder) = &held.holder else {
        return found(format!("nobody holds Lease {lease}")).failed("start the operator");
    };
    let Some(renewed_ms) = held.renewed_ms else {
        let never = format!("{holder} holds Lease {lease}, and never renewed it");
        return found(never).failed("see the operator's log");
    };
    let age = now_ms.saturating_sub(renewed_ms);
    if age > held.duration_ms.saturating_mul(SLACK) {
        let old = format!(
            "{holder} holds Lease {lease}, and renewed it {} s ago",
            age / 1000
        );
        return found(old).failed("see the operator's log: no replica of it renews the Lease");
    }
    found(format!("{holder} holds Lease {lease}"))
}

fn labelled(leader: &Leader) -> Check {
    let what = "label of the leader";
    let found = |found: String| Check::ok(Area::Leader, what, found);
    match leader.labelled.as_deref() {
        Err(why) => Check::unknown(Area::Leader, what, why),
        Ok([pod]) => found(format!("pod {pod} has it")),
        Ok([]) => found("no pod has it".to_owned()).warning(
            "let the operator know its pod (POD_NAME, POD_NAMESPACE) and `patch` pods in its \
             namespace: Services find the leader by trimtab.dev/leader",
        ),
        Ok(pods) => found(format!("several pods have it: {}", pods.join(", "))).failed(
            "take the label trimtab.dev/leader from all but the leader, and see its log for why it \
             does not",
        ),
    }
}

pub(super) fn external_metrics(facts: &Facts) -> Vec<Check> {
    let what = "external metrics";
    let external = &facts.external;
    let found = |found: String| Check::ok(Area::ExternalMetrics, what, found);
    let owner = match &external.owner {
        Err(why) => return vec![Check::unknown(Area::ExternalMetrics, what, why)],
        Ok(owner) => owner,
    };
    let read = hpas_read_us(facts);
    let served = match owner {
        Owner::Nobody if read => {
            found("nobody serves them, and HPAs read them".to_owned()).failed(format!(
                "set listen.externalMetrics, and make the APIService of {}: \
                 externalMetrics.apiService.create in the chart",
                external.service
            ))
        }
        Owner::Nobody => found("nobody serves them, and no HPA of a variant reads them".to_owned()),
        Owner::Other(other) if read => found(format!("Service {other} serves them")).warning(
            "an adapter must serve wva_desired_replicas from Prometheus. KEDA serves its own \
             ScaledObjects alone, which need the APIService: let it scale, by a trigger \
             external-push in place of the HPA",
        ),
        Owner::Other(other) => found(format!(
            "Service {other} serves them, and no HPA of a variant reads them"
        )),
        Owner::Ours { .. } => match &external.unavailable {
            Err(why) => Check::unknown(Area::ExternalMetrics, what, why),
            Ok(Some(why)) => found(format!("ours, and not reached: {why}")).failed(format!(
                "let the API server reach Service {}: is there a leader with the label, a port, a \
                 certificate that is vouched for, a NetworkPolicy in the way?",
                external.service
            )),
            Ok(None) => found(format!("Service {} serves them", external.service)),
        },
    };
    [served].into_iter().chain(answers(facts)).collect()
}

fn hpas_read_us(facts: &Facts) -> bool {
    let variants = facts.pools.iter().flat_map(|pool| &pool.variants);
    let mut scalers = variants.flat_map(|variant| &variant.scalers);
    let is_hpa = trimtab_cluster::Way::HorizontalPodAutoscaler;
    scalers.any(|scaler| scaler.reads_us && scaler.claimant.way == is_hpa)
}

/// What HPAs are told of each pool.
fn answers(facts: &Facts) -> Vec<Check> {
    let told = facts.pools.iter().filter_map(|pool| {
        let what = format!("answer for pool {}", pool.name);
        let found = |found: String| Check::ok(Area::ExternalMetrics, what.clone(), found);
        Some(match pool.told.as_ref()? {
            Ok(Some(value)) => found(format!("wva_desired_replicas is {value}")),
            _ if !pool.enforced => found("none, as its mode keeps the count".to_owned()),
            Ok(None) => found("no value".to_owned())
                .failed("see the operator's log for why it decides nothing for this pool"),
            Err(why) => found(format!("none: {why}"))
                .failed("see the message; HPAs hold on it until there is a count again"),
        })
    });
    told.collect()
}
