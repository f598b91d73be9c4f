//! Where the programs of the control plane are: given by the environment, or built once with Go.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, bail, ensure};

/// Names a directory that has the programs, as it does for other harnesses of this kind.
pub const VARIABLE: &str = "KUBEBUILDER_ASSETS";

/// Everything that the harness and its tests start or read.
const NEEDED: [&str; 15] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubectl",
    "kwok",
    "prometheus",
    "promtool",
    "helm",
    "keda-operator",
    "keda-adapter",
    "registry",
    "kwok-stages.yaml",
    "crds",
    "crds/keda",
];

/// A directory that has all of `NEEDED`.
#[derive(Clone, Debug)]
pub struct Binaries {
    directory: PathBuf,
}

impl Binaries {
    /// Takes the directory that [`VARIABLE`] names, else builds into a cache; the first time, that
    /// takes minutes. Blocks.
    ///
    /// # Errors
    /// Where the directory lacks something, or the build fails: its message says what to install.
    pub fn find() -> anyhow::Result<Self> {
        static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let found = FOUND.get_or_init(|| find_directory().map_err(|error| format!("{error:#}")));
        match found {
            Ok(directory) => Ok(Self {
                directory: directory.clone(),
            }),
            Err(message) => bail!("{message}"),
        }
    }

    #[must_use]
    pub fn program(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// What kwok's nodes and pods do.
    #[must_use]
    pub fn stages(&self) -> PathBuf {
        self.directory.join("kwok-stages.yaml")
    }

    /// CRDs as their projects ship them.
    #[must_use]
    pub fn crds(&self) -> PathBuf {
        self.directory.join("crds")
    }
}

fn find_directory() -> anyhow::Result<PathBuf> {
    let directory = match std::env::var_os(VARIABLE) {
        Some(given) => PathBuf::from(given),
        None => build()?,
    };
    let missing = missing_in(&directory);
    ensure!(
        missing.is_empty(),
        "{} lacks {}: unset {VARIABLE} to have all of it built with Go, or add what is missing",
        directory.display(),
        missing.join(", "),
    );
    Ok(directory)
}

fn missing_in(directory: &Path) -> Vec<&'static str> {
    let is_missing = |name: &&str| !directory.join(name).exists();
    NEEDED.into_iter().filter(is_missing).collect()
}

/// Runs the build script, whose progress is seen on standard error.
fn build() -> anyhow::Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("build");
    let output = Command::new(&script)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {}: install bash", script.display()))?;
    ensure!(
        output.status.success(),
        "{} failed ({}); its last lines on standard error say why",
        script.display(),
        output.status,
    );
    let directory = String::from_utf8(output.stdout).context("path of the build")?;
    Ok(PathBuf::from(directory.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_directory_lacks_is_named() {
        assert_eq!(missing_in(Path::new("/nowhere")), NEEDED);
    }
}
