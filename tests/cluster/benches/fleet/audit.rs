//! What the operator asks of the API server, as that server's audit log has it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tempfile::TempDir;

/// The operator's user, whose requests alone are logged.
pub(crate) const USER: &str = "trimtab";

const POLICY: &str = r#"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - {level: Metadata, users: [trimtab]}
  - {level: None}
"#;

/// Verbs that change something.
const WRITES: [&str; 4] = ["create", "update", "patch", "delete"];

pub(crate) struct Audit(TempDir);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    verb: String,
    object_ref: Option<Reference>,
}

#[derive(Deserialize)]
struct Reference {
    resource: String,
}

impl Audit {
    pub(crate) fn new() -> anyhow::Result<Self> {
        let audit = Self(tempfile::tempdir()?);
        fs_err::write(audit.policy(), POLICY)?;
        Ok(audit)
    }

    pub(crate) fn arguments(&self) -> [String; 2] {
        [
            format!("--audit-policy-file={}", self.policy().display()),
            format!("--audit-log-path={}", self.log().display()),
        ]
    }

    /// Statuses written so far.
    pub(crate) fn statuses(&self) -> anyhow::Result<usize> {
        let counts = self.counts(0)?;
        let written = counts.iter().filter(|((verb, resource), _)| {
            WRITES.contains(&verb.as_str()) && resource == "variantautoscalings"
        });
        Ok(written.map(|(_, count)| count).sum())
    }

    /// Where the log ends, in lines.
    pub(crate) fn position(&self) -> anyhow::Result<usize> {
        Ok(fs_err::read_to_string(self.log())?.lines().count())
    }

    #[expect(clippy::print_stdout, reason = "what a benchmark says")]
    pub(crate) fn print_since(&self, position: usize, time: Duration) -> anyhow::Result<()> {
        println!("  requests to the API server a minute:");
        let minutes = time.as_secs_f64() / 60.0;
        for ((verb, resource), count) in self.counts(position)? {
            let kind = if WRITES.contains(&verb.as_str()) {
                "write"
            } else {
                "read"
            };
            let rate = count as f64 / minutes;
            println!("    {kind:5} {verb:6} {resource:24} {rate:6.1}");
        }
        Ok(())
    }

    fn counts(&self, position: usize) -> anyhow::Result<BTreeMap<(String, String), usize>> {
        let mut counts = BTreeMap::new();
        let log = fs_err::read_to_string(self.log())?;
        // The last line may be half written.
        let events = log.lines().skip(position);
        for event in events.filter_map(|line| serde_json::from_str::<Event>(line).ok()) {
            let resource = event.object_ref.map_or_else(String::new, |of| of.resource);
            *counts.entry((event.verb, resource)).or_default() += 1;
        }
        Ok(counts)
    }

    fn policy(&self) -> PathBuf {
        self.0.path().join("policy.yaml")
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("audit.log")
    }
}
