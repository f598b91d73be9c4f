//! Every command of the pages that a newcomer reads, run as it stands there.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context as _, ensure};
use trimtab_cluster_tests::control_plane::Options;
use trimtab_cluster_tests::operator::binary;
use trimtab_cluster_tests::scratch::Scratch;
use trimtab_cluster_tests::wait::wait_until;
use trimtab_cluster_tests::{ControlPlane, Prometheus, PrometheusOptions};

use crate::decisions::DEADLINE;

/// Commands that are not run here, by how they begin, and why.
const ELSEWHERE: [(&str, &str); 13] = [
    (
        "trimtab doctor",
        "it fails where no operator runs: see `doctor`",
    ),
    ("trimtab migrate FILE", "the command's own tests run it"),
    ("kubectl port-forward", "nothing runs in the pods"),
    ("trimtab simulate", "the command's own tests run it"),
    ("trimtab scenario", "the command's own tests run it"),
    ("trimtab policy", "the command's own tests run it"),
    ("tests/run", "it runs this"),
    ("cargo bench", "figures are none of a test"),
    ("docker build", "there is no container engine"),
    (
        "oras ",
        "a registry is filled without it: see `policies::swaps`",
    ),
    (
        "wkg ",
        "a registry is filled without it: see `policies::swaps`",
    ),
    ("cosign ", "signatures are made without it: see `oci`"),
    (
        "kubectl get --raw",
        "it asks a running operator: see `scaling`",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Lines of shell blocks, and words between backticks that begin like a command.
fn commands(page: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut parts = page.split("```");
    while let Some(text) = parts.next() {
        for span in text.split('`').skip(1).step_by(2) {
            let span = span.replace('\n', " ");
            let mut programs = ["kubectl ", "helm ", "docker ", "trimtab "].iter();
            if programs.any(|program| span.starts_with(program)) {
                commands.push(span);
            }
        }
        let Some(block) = parts.next() else { break };
        if let Some(lines) = block.strip_prefix("sh\n") {
            let lines = lines.replace("\\\n", " ");
            let lines = lines.lines().map(str::trim);
            let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
            commands.extend(lines.map(|line| line.replace("cargo run --release --", "trimtab")));
        }
    }
    commands
        .iter()
        .map(|line| line.replace("cargo run --", "trimtab"))
        .collect()
}

#[test]
fn commands_are_found_in_blocks_and_in_sentences() {
    let page = "See `kubectl get va`, or `va`.\n```sh\ncargo run --release -- crds | \\\n  kubectl apply -f -\n\n# no\nls\n```\nand `helm\nlist`; ```yaml\na: b\n```";
    assert_eq!(
        commands(page),
        [
            "kubectl get va",
            "trimtab crds |    kubectl apply -f -",
            "ls",
            "helm list"
        ]
    );
}

/// The repository, and beside it what the pages say that a user has: a component, and a key.
fn place() -> anyhow::Result<Scratch> {
    let place = Scratch::new("pages")?;
    for entry in std::fs::read_dir(root())? {
        let entry = entry?;
        std::os::unix::fs::symlink(entry.path(), place.path().join(entry.file_name()))?;
    }
    let component = trimtab_sandbox::builtin("queueing-analyzer").unwrap_or_default();
    fs_err::write(place.path().join("chat-analyzer.wasm"), component)?;
    let key = rcgen::KeyPair::generate()?.public_key_pem();
    fs_err::write(place.path().join("cosign.pub"), key)?;
    Ok(place)
}

/// Runs a command in this place, with the control plane's tools and the binary on the path. One
/// that goes on is told to stop.
async fn run(
    plane: &ControlPlane,
    prometheus: &Prometheus,
    place: &Path,
    line: &str,
) -> anyhow::Result<Output> {
    let trimtab = tokio::task::spawn_blocking(binary).await??;
    let directory = trimtab.parent().context("a binary without a directory")?;
    let tools = plane.built("");
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{}:{path}", tools.display(), directory.display());
    let line = line.replace("http://localhost:9090", prometheus.url());
    let mut command = std::process::Command::new("timeout");
    command
        .args([
            "--preserve-status",
            "--signal=TERM",
            "20",
            "bash",
            "-euo",
            "pipefail",
            "-c",
        ])
        .arg(line)
        .current_dir(place)
        .env("PATH", path)
        .env("KUBECONFIG", plane.kubeconfig())
        .env("TRIMTAB_PROMETHEUS_CA_FILE", plane.authority())
        // Another test may listen there.
        .env("TRIMTAB_LISTEN_METRICS", "0")
        .env("TRIMTAB_LISTEN_HEALTH", "0");
    Ok(tokio::task::spawn_blocking(move || command.output()).await??)
}

#[tokio::test]
async fn the_commands_of_the_pages_do_what_they_say() -> anyhow::Result<()> {
    let plane = ControlPlane::start(Options::default()).await?;
    let prometheus = Prometheus::start(&plane, PrometheusOptions::default()).await?;
    let place = place()?;
    let mut ran = 0;
    for page in ["deploy/README.md", "README.md"] {
        let text = std::fs::read_to_string(root().join(page))?;
        for line in commands(&text) {
            if ELSEWHERE.iter().any(|(begins, _)| line.starts_with(begins)) {
                continue;
            }
            let what = format!("{page}: {line}");
            // What one command makes may take a while to be there for the next.
            wait_until(&what, DEADLINE, async || {
                let output = run(&plane, &prometheus, place.path(), &line).await?;
                let said = String::from_utf8_lossy(&output.stderr);
                ensure!(output.status.success(), "{}: {said}", output.status);
                Ok(())
            })
            .await?;
            ran += 1;
        }
    }
    ensure!(ran > 15, "only {ran} were found");
    Ok(())
}
