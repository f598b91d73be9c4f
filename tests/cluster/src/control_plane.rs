//! A control plane on loopback: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, and
//! kwok, which plays the kubelet of every node. Each process can be killed and started again.

pub mod audit;
mod layout;
mod programs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use anyhow::Context as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::sync::{Mutex, OnceCell};

use self::audit::{Audited, Event};
use self::layout::Layout;
use crate::binaries::Binaries;
pub use crate::certificates::Pair;
use crate::fixtures::crds::{self, Crd};
use crate::http;
use crate::process::{Process, Program, Signal};
use crate::wait::wait_until;

/// How long one process may take until it is ready; on a busy machine several times what it needs.
const READY: Duration = Duration::from_secs(60);

/// Between two looks at which processes have ended by themselves.
const SUPERVISION: Duration = Duration::from_millis(200);

/// What a control plane may have otherwise.
#[derive(Clone, Debug)]
pub struct Options {
    /// Between two looks of the HPA controller.
    pub hpa_sync: Duration,
    /// The HPA's window for going down, where the HPA itself sets none.
    pub hpa_downscale_stabilization: Duration,
    /// Addresses of pods. Nothing answers on them.
    pub pod_cidr: String,
    /// Installed before it is ready.
    pub crds: Vec<Crd>,
    /// Of the API server and of the controller manager, e.g. `HPAScaleToZero=true`.
    pub feature_gates: Vec<String>,
    /// Whose requests [`ControlPlane::audit`] gives.
    pub audited: Audited,
    /// Further arguments, by the name of the process.
    pub arguments: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hpa_sync: Duration::from_secs(2),
            hpa_downscale_stabilization: Duration::from_secs(5),
            // A range for documentation: of loopback addresses the API makes no endpoints.
            pod_cidr: "198.18.0.0/15".to_owned(),
            crds: vec![
                Crd::InferencePool,
                Crd::InferencePoolAlpha,
                Crd::LeaderWorkerSet,
                Crd::ScaledObject,
            ],
            feature_gates: Vec::new(),
            audited: Audited::default(),
            arguments: Vec::new(),
        }
    }
}

/// Processes by name.
type Processes = BTreeMap<&'static str, Process>;

/// A running control plane. A process that ends by itself is started again, as a kubelet would: a
/// controller manager, say, that loses the API server while it starts. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct ControlPlane {
    binaries: Binaries,
    http: reqwest::Client,
    processes: Arc<Mutex<Processes>>,
    layout: Layout,
}

impl ControlPlane {
    /// Starts one and waits until all of it is ready.
    ///
    /// # Errors
    /// Where programs are missing, or one of them does not get ready; says which, with its log.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let binaries = tokio::task::spawn_blocking(Binaries::find).await??;
        let layout = Layout::new()?;
        let plane = Self {
            http: http::client(layout.authority.pem())?,
            binaries,
            processes: Arc::default(),
            layout,
        };
        let processes = Arc::downgrade(&plane.processes);
        std::thread::spawn(move || supervise(processes));
        let mut programs = plane.programs(&options)?;
        let rest = programs.split_off(2);
        for program in programs {
            plane.run(program).await?;
        }
        let rest = rest.into_iter().map(|program| plane.run(program));
        let started = futures::future::try_join_all(rest);
        futures::try_join!(started, crds::install(&plane, &options.crds))?;
        Ok(plane)
    }

    /// The one that all tests of this process share; it must not be harmed.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn shared() -> anyhow::Result<&'static Self> {
        static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();
        SHARED
            .get_or_try_init(|| Self::start(Options::default()))
            .await
    }

    /// Kills a process by its name, and waits until it is gone.
    ///
    /// # Errors
    /// Where it is unknown or does not run.
    pub async fn kill(&self, name: &str) -> anyhow::Result<()> {
        self.signal(name, Signal::KILL).await
    }

    /// Sends a signal: SIGTERM for an orderly end, SIGSTOP for one that hangs, SIGCONT after that.
    /// SIGTERM does not end an API server as long as somebody watches it: that takes SIGKILL.
    ///
    /// # Errors
    /// Where it is unknown or does not run.
    pub async fn signal(&self, name: &str, signal: Signal) -> anyhow::Result<()> {
        let mut processes = self.processes.lock().await;
        known(&mut processes, name)?.signal(signal).await
    }

    /// Starts a process that was killed again, on its port and with its data, and waits until it
    /// is ready.
    ///
    /// # Errors
    /// Where it is unknown, still runs, or does not get ready.
    pub async fn restart(&self, name: &str) -> anyhow::Result<()> {
        known(&mut *self.processes.lock().await, name)?.restart()?;
        self.ready(name).await
    }

    /// A kubeconfig of an administrator.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.layout.kubeconfig("admin")
    }

    /// A kubeconfig of another user, who may do what RBAC grants the user and the groups. A
    /// service account is `system:serviceaccount:NAMESPACE:NAME`.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn kubeconfig_of(&self, user: &str, groups: &[&str]) -> anyhow::Result<PathBuf> {
        self.layout.add_user(&user.replace(':', "-"), user, groups)
    }

    /// An administrator's client. It lives with the test's runtime, so each test takes its own.
    ///
    /// # Errors
    /// Where the kubeconfig cannot be read.
    pub async fn client(&self) -> anyhow::Result<kube::Client> {
        client_of(&self.kubeconfig()).await
    }

    /// The address of the API server.
    #[must_use]
    pub fn url(&self) -> String {
        self.layout.url("kube-apiserver")
    }

    /// A client's certificate of the administrator, which any server of the control plane takes.
    #[must_use]
    pub fn client_certificate(&self) -> Pair {
        self.layout.pair("user-admin")
    }

    /// The authority that signed what the control plane's servers show.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.layout.authority_file()
    }

    /// The same as PEM.
    #[must_use]
    pub fn authority_pem(&self) -> &str {
        self.layout.authority.pem()
    }

    /// A certificate of that authority for a server on loopback that has further names, e.g.
    /// `SERVICE.NAMESPACE.svc`. It may be shown as a client's too.
    ///
    /// # Errors
    /// Where a name is none, or it cannot be written.
    pub fn certify(&self, file: &str, names: &[&str]) -> anyhow::Result<Pair> {
        self.layout.authority.peer(file, names)
    }

    /// The requests that [`Options::audited`] asks for and that were answered until now, in order.
    /// The answer may be there a moment before its event.
    ///
    /// # Errors
    /// Where nobody is audited.
    pub fn audit(&self) -> anyhow::Result<Vec<Event>> {
        audit::read(&self.audit_log())
    }

    /// Runs kubectl as administrator and gives what it printed.
    ///
    /// # Errors
    /// Where it fails, with what it said.
    pub async fn kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = std::process::Command::new(self.binaries.program("kubectl"));
        command.env("KUBECONFIG", self.kubeconfig()).args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        anyhow::ensure!(
            output.status.success(),
            "kubectl {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr),
        );
        Ok(String::from_utf8(output.stdout)?)
    }

    /// Applies objects, as YAML or JSON.
    ///
    /// # Errors
    /// Where one is refused.
    pub async fn apply_text(&self, text: &str) -> anyhow::Result<()> {
        let scratch = crate::scratch::Scratch::new("objects")?;
        let file = scratch.path().join("objects.yaml");
        fs_err::write(&file, text)?;
        let file = file.to_str().context("a path that is no text")?;
        let arguments = ["apply", "--server-side", "-f", file];
        self.kubectl(&arguments).await.map(drop)
    }

    /// Where a program of the build is, or what else it has.
    #[must_use]
    pub fn built(&self, name: &str) -> PathBuf {
        self.binaries.program(name)
    }

    /// The last lines of every process's log.
    pub async fn logs(&self, lines: usize) -> String {
        let processes = self.processes.lock().await;
        let log = |(name, process): (&&str, &Process)| {
            format!("--- {name}\n{}\n", process.log_tail(lines))
        };
        processes.iter().map(log).collect()
    }

    pub(crate) fn binaries(&self) -> &Binaries {
        &self.binaries
    }

    /// What a server beside the control plane may show.
    pub(crate) fn server_certificate(&self) -> Pair {
        self.layout.pair("server")
    }

    /// Whether a server on loopback shows this certificate to the administrator.
    ///
    /// # Errors
    /// Where it shows none that the authority signed.
    pub async fn is_shown(&self, port: u16, pair: &Pair) -> anyhow::Result<bool> {
        let url = format!("https://localhost:{port}/");
        let shown = http::shown(&self.http_client()?, &url).await?;
        let wanted = CertificateDer::from_pem_file(&pair.certificate)?;
        Ok(shown == wanted.as_ref())
    }

    /// A client that trusts the control plane's authority, and shows its administrator.
    pub(crate) fn http_client(&self) -> anyhow::Result<reqwest::Client> {
        http::client_with(self.layout.authority.pem(), &self.client_certificate())
    }

    /// The same for answers that take as long as they take.
    pub(crate) fn streaming_client(&self) -> anyhow::Result<reqwest::Client> {
        http::streaming_client(self.layout.authority.pem(), &self.client_certificate())
    }

    pub(crate) fn directory(&self) -> &Path {
        self.layout.directory()
    }

    fn audit_log(&self) -> PathBuf {
        self.directory().join("audit.log")
    }

    async fn run(&self, program: Program) -> anyhow::Result<()> {
        let name = programs::NAMES
            .into_iter()
            .find(|name| *name == program.name)
            .with_context(|| format!("{} is no part of a control plane", program.name))?;
        let process = Process::start(program)?;
        self.processes.lock().await.insert(name, process);
        self.ready(name).await
    }

    async fn ready(&self, name: &str) -> anyhow::Result<()> {
        let url = format!("{}{}", self.layout.url(name), programs::health(name));
        let look = async || http::get(&self.http, &url).await;
        let ready = wait_until(&format!("{name} is ready"), READY, look).await;
        let log = known(&mut *self.processes.lock().await, name)?.log_tail(30);
        ready.with_context(|| format!("the log of {name} ends:\n{log}"))?;
        Ok(())
    }
}

impl Drop for ControlPlane {
    /// Ends the processes before their data goes; the supervisor holds the lock for moments only.
    fn drop(&mut self) {
        for _ in 0..100 {
            if let Ok(mut processes) = self.processes.try_lock() {
                processes.clear();
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A client of the user of a kubeconfig.
///
/// # Errors
/// Where the file cannot be read, or what it names cannot.
pub async fn client_of(kubeconfig: &Path) -> anyhow::Result<kube::Client> {
    http::use_ring();
    let file = Kubeconfig::read_from(kubeconfig)?;
    let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await?;
    Ok(kube::Client::try_from(config)?)
}

/// Revives what ends by itself, until the control plane is gone.
fn supervise(processes: Weak<Mutex<Processes>>) {
    while let Some(processes) = processes.upgrade() {
        for process in processes.blocking_lock().values_mut() {
            // What cannot be started now is tried again, and is missed by whoever waits for it.
            let _ = process.revive();
        }
        drop(processes);
        std::thread::sleep(SUPERVISION);
    }
}

fn known<'a>(processes: &'a mut Processes, name: &str) -> anyhow::Result<&'a mut Process> {
    processes.get_mut(name).with_context(|| {
        let names = programs::NAMES.join(", ");
        format!("the control plane has no process `{name}`; it has {names}")
    })
}
