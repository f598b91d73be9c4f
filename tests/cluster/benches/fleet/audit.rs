//! What the operator asks of the API server, as that server's audit log has it.

use std::collections::BTreeMap;
use std::time::Duration;

use trimtab_cluster_tests::ControlPlane;
use trimtab_cluster_tests::control_plane::audit::Event;

/// The operator's user, whose requests alone are logged.
pub(crate) const USER: &str = "trimtab";

/// Verbs that change something.
const WRITES: [&str; 4] = ["create", "update", "patch", "delete"];

/// Statuses written so far.
pub(crate) fn statuses(plane: &ControlPlane) -> anyhow::Result<usize> {
    let events = plane.audit()?;
    let written = events
        .iter()
        .filter(|event| is_write(&event.verb) && event.resource == "variantautoscalings");
    Ok(written.count())
}

/// Requests until now.
pub(crate) fn position(plane: &ControlPlane) -> anyhow::Result<usize> {
    Ok(plane.audit()?.len())
}

#[expect(clippy::print_stdout, reason = "what a benchmark says")]
pub(crate) fn print_since(
    plane: &ControlPlane,
    position: usize,
    time: Duration,
) -> anyhow::Result<()> {
    println!("  requests to the API server a minute:");
    let minutes = time.as_secs_f64() / 60.0;
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    for Event { verb, resource, .. } in plane.audit()?.into_iter().skip(position) {
        *counts.entry((verb, resource)).or_default() += 1;
    }
    for ((verb, resource), count) in counts {
        let kind = if is_write(&verb) { "write" } else { "read" };
        let rate = count as f64 / minutes;
        println!("    {kind:5} {verb:6} {resource:24} {rate:6.1}");
    }
    Ok(())
}

fn is_write(verb: &str) -> bool {
    WRITES.contains(&verb)
}
