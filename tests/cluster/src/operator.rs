//! Trimtab itself: the binary of this workspace, built when it is not up to date, as a process that
//! can be killed.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, bail, ensure};
use tokio::sync::Mutex;

use crate::ControlPlane;
use crate::process::{Process, Program, Signal};
use crate::scratch::Scratch;
use crate::wait::{DEADLINE, wait_until};

/// A running `trimtab`. Dropping it kills it.
#[derive(Debug)]
pub struct Operator {
    process: Mutex<Process>,
    /// After the process, so that it is gone when this is removed.
    _scratch: Scratch,
}

impl Operator {
    /// Starts `trimtab` with these arguments and variables. `KUBECONFIG` names the control plane's
    /// administrator, unless `environment` has another.
    ///
    /// # Errors
    /// Where the binary cannot be built or started.
    pub async fn start(
        plane: &ControlPlane,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let binary = tokio::task::spawn_blocking(binary).await??;
        let scratch = Scratch::new("operator")?;
        let log = scratch.path().join("trimtab.log");
        let mut program = Program::new("trimtab", binary, log);
        program.arguments = arguments.iter().map(OsString::from).collect();
        let kubeconfig = ("KUBECONFIG".into(), plane.kubeconfig().into());
        let given = environment
            .iter()
            .map(|(name, value)| (name.into(), value.into()));
        program.environment = [kubeconfig].into_iter().chain(given).collect();
        Ok(Self {
            process: Mutex::new(Process::start(program)?),
            _scratch: scratch,
        })
    }

    /// Kills it and waits until it is gone.
    ///
    /// # Errors
    /// Where it does not run.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.signal(Signal::KILL).await
    }

    /// See [`ControlPlane::signal`].
    ///
    /// # Errors
    /// Where it does not run.
    pub async fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.process.lock().await.signal(signal).await
    }

    /// Starts it again, with the same arguments.
    ///
    /// # Errors
    /// Where it still runs.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.process.lock().await.restart()
    }

    pub async fn is_running(&self) -> bool {
        self.process.lock().await.is_running()
    }

    /// For benchmarks that read what the kernel knows of it; `None` while it does not run.
    pub async fn process_id(&self) -> Option<u32> {
        self.process.lock().await.process_id()
    }

    /// The last lines of its log.
    pub async fn log(&self, lines: usize) -> String {
        self.process.lock().await.log_tail(lines)
    }

    /// Waits until its log has this text.
    ///
    /// # Errors
    /// Where it does not in time; says how the log ends.
    pub async fn wait_for_log(&self, text: &str) -> anyhow::Result<()> {
        wait_until(&format!("the log has `{text}`"), DEADLINE, async || {
            let log = self.log(usize::MAX).await;
            ensure!(log.contains(text), "it ends:\n{}", self.log(20).await);
            Ok(())
        })
        .await
    }
}

/// An operator's metrics.
///
/// # Errors
/// Where it does not answer, or not with them.
pub async fn scrape(port: u16) -> anyhow::Result<String> {
    let url = format!("http://127.0.0.1:{port}/metrics");
    Ok(reqwest::get(&url).await?.error_for_status()?.text().await?)
}

/// The number in a metric's line that has all these words.
#[must_use]
pub fn metric(text: &str, words: &[&str]) -> Option<f64> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let line = lines.find(|line| words.iter().all(|word| line.contains(word)))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Runs `trimtab` with these arguments until it ends.
///
/// # Errors
/// Where it cannot be built or started, or fails; has what it wrote to standard error.
pub async fn run_to_end<S: AsRef<OsStr>>(arguments: &[S]) -> anyhow::Result<()> {
    let binary = tokio::task::spawn_blocking(binary).await??;
    let mut command = Command::new(binary);
    command.args(arguments).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    Ok(())
}

/// What a command of `trimtab` said.
#[derive(Clone, Debug)]
pub struct Said {
    pub success: bool,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command of `trimtab` as the control plane's administrator until it ends.
///
/// # Errors
/// Where it cannot be built or started.
pub async fn ask<S: AsRef<OsStr>>(plane: &ControlPlane, arguments: &[S]) -> anyhow::Result<Said> {
    let binary = tokio::task::spawn_blocking(binary).await??;
    let mut command = Command::new(binary);
    command
        .args(arguments)
        .env("KUBECONFIG", plane.kubeconfig())
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    Ok(Said {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// The binary, built once in this process; cargo knows whether there is anything to do. Blocks.
pub fn binary() -> anyhow::Result<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| build().map_err(|error| format!("{error:#}")));
    match built {
        Ok(path) => Ok(path.clone()),
        Err(message) => bail!("{message}"),
    }
}

/// Builds into the directory and with the profile of the test that runs.
fn build() -> anyhow::Result<PathBuf> {
    let test = std::env::current_exe()?;
    // TARGET/PROFILE/deps/TEST
    let profile = test.parent().and_then(Path::parent);
    let profile = profile.context("a test outside of cargo's target directory")?;
    let target = profile.parent().context("a profile without a target")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["build", "--package", "trimtab", "--locked", "--target-dir"])
        .arg(target)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    // What cargo told the test of itself: build scripts that look at it would run again, and all
    // that depends on them be built anew.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&*name);
        }
    }
    if profile.file_name().is_some_and(|name| name == "release") {
        command.arg("--release");
    }
    let status = command.status().context("cannot run cargo")?;
    ensure!(
        status.success(),
        "`cargo build --package trimtab` failed ({status})"
    );
    Ok(profile.join("trimtab"))
}
