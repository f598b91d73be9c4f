//! KEDA beside a control plane: its operator and its adapter, which serves External metrics. It has
//! a cluster for itself: no other can serve these in it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use tokio::sync::Mutex;

use crate::api_service::ApiService;
use crate::fixtures::crds;
use crate::namespace::MANAGER;
use crate::ports::free_port;
use crate::process::{Process, Program, Signal};
use crate::scratch::Scratch;
use crate::wait::{DEADLINE, wait_until};
use crate::{ControlPlane, http};

/// The namespace that KEDA is in.
pub const NAMESPACE: &str = "keda";

/// The Service of the adapter.
const SERVICE: &str = "keda-metrics-apiserver";

/// The user that the operator is; in the audit it tells what KEDA asked.
pub const OPERATOR_USER: &str = "system:serviceaccount:keda:keda-operator";
const ADAPTER_USER: &str = "system:serviceaccount:keda:keda-metrics-server";

/// A running KEDA. Dropping it kills it; its objects stay.
#[derive(Debug)]
pub struct Keda {
    operator: Part,
    adapter: Part,
    api_service: ApiService,
    /// After the processes, so that they are gone when this is removed.
    _scratch: Scratch,
}

/// A process of KEDA.
#[derive(Debug)]
pub struct Part {
    process: Mutex<Process>,
    http: reqwest::Client,
    ready: String,
}

impl Keda {
    /// Installs KEDA's CRDs, over the harness's ScaledObject, starts it, and waits until the API
    /// server serves External metrics by it. Its scalers trust the control plane's authority.
    ///
    /// # Errors
    /// Where a part of it does not get ready, with its log.
    pub async fn start(plane: &ControlPlane) -> anyhow::Result<Self> {
        futures::try_join!(install_crds(plane), create_namespace(plane))?;
        let layout = Layout::new(plane)?;
        let operator = format!("http://{}/readyz", address(layout.health));
        let operator = Part::start(plane, layout.operator(plane)?, operator)?;
        let adapter = format!("https://{}/readyz", address(layout.api));
        let adapter = Part::start(plane, layout.adapter(plane)?, adapter)?;
        let authority = Some(plane.authority_pem());
        let api_service =
            ApiService::route(plane, NAMESPACE, SERVICE, layout.api, authority).await?;
        let keda = Self {
            operator,
            adapter,
            api_service,
            _scratch: layout.scratch,
        };
        futures::try_join!(
            keda.operator.wait_until_ready(),
            keda.adapter.wait_until_ready()
        )?;
        keda.api_service.wait_for(true).await?;
        Ok(keda)
    }

    /// What makes HPAs of ScaledObjects, and scales from zero and to it. While it is down, what
    /// HPAs ask is not refused but held back until it is there again, or for a minute.
    #[must_use]
    pub fn operator(&self) -> &Part {
        &self.operator
    }

    /// What HPAs are answered by, with what the operator tells it.
    #[must_use]
    pub fn adapter(&self) -> &Part {
        &self.adapter
    }

    /// How External metrics come to the adapter.
    #[must_use]
    pub fn api_service(&self) -> &ApiService {
        &self.api_service
    }

    /// Ends it, as when it is uninstalled with its CRDs left: others may serve External metrics
    /// then.
    ///
    /// # Errors
    /// Where it does not end, or the API server does not answer.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.api_service.clone().remove().await?;
        for part in [&self.adapter, &self.operator] {
            if part.is_running().await {
                part.signal(Signal::TERM).await?;
            }
        }
        Ok(())
    }
}

impl Part {
    fn start(plane: &ControlPlane, program: Program, ready: String) -> anyhow::Result<Self> {
        Ok(Self {
            process: Mutex::new(Process::start(program)?),
            http: plane.http_client()?,
            ready,
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

    /// Starts it again after it was killed, and waits until it is ready.
    ///
    /// # Errors
    /// Where it still runs, or does not get ready.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.process.lock().await.restart()?;
        self.wait_until_ready().await
    }

    pub async fn is_running(&self) -> bool {
        self.process.lock().await.is_running()
    }

    /// The last lines of its log.
    pub async fn log(&self, lines: usize) -> String {
        self.process.lock().await.log_tail(lines)
    }

    async fn wait_until_ready(&self) -> anyhow::Result<()> {
        let look = async || http::get(&self.http, &self.ready).await;
        let ready = wait_until("KEDA is ready", DEADLINE, look).await;
        let log = self.log(30).await;
        ready.with_context(|| format!("its log ends:\n{log}"))?;
        Ok(())
    }
}

/// Where KEDA's files and ports are.
struct Layout {
    scratch: Scratch,
    health: u16,
    /// On which the operator tells the adapter.
    channel: u16,
    /// On which the adapter serves the API server.
    api: u16,
}

impl Layout {
    fn new(plane: &ControlPlane) -> anyhow::Result<Self> {
        let layout = Self {
            scratch: Scratch::new("keda")?,
            health: free_port()?,
            channel: free_port()?,
            api: free_port()?,
        };
        for directory in [layout.certificates(), layout.authorities()] {
            fs_err::create_dir(&directory)?;
            fs_err::copy(plane.authority(), directory.join("ca.crt"))?;
        }
        // What both show each other, and the adapter the API server.
        let own = plane.certify("keda", &[&format!("{SERVICE}.{NAMESPACE}.svc")])?;
        fs_err::copy(own.certificate, layout.certificates().join("tls.crt"))?;
        fs_err::copy(own.key, layout.certificates().join("tls.key"))?;
        Ok(layout)
    }

    fn operator(&self, plane: &ControlPlane) -> anyhow::Result<Program> {
        let kubeconfig = plane.kubeconfig_of(OPERATOR_USER, &["system:masters"])?;
        Ok(self
            .program(plane, "keda-operator", &kubeconfig)
            .switch("leader-elect", false)
            .switch("enable-cert-rotation", false)
            .flag("zap-encoder", "console")
            .flag("ca-dir", self.authorities())
            .flag("metrics-bind-address", address(free_port()?))
            .flag("health-probe-bind-address", address(self.health))
            .flag("metrics-service-bind-address", address(self.channel)))
    }

    fn adapter(&self, plane: &ControlPlane) -> anyhow::Result<Program> {
        let kubeconfig = plane.kubeconfig_of(ADAPTER_USER, &["system:masters"])?;
        Ok(self
            .program(plane, "keda-adapter", &kubeconfig)
            .flag("authentication-kubeconfig", &kubeconfig)
            .flag("authorization-kubeconfig", &kubeconfig)
            .flag("lister-kubeconfig", &kubeconfig)
            .flag("bind-address", "127.0.0.1")
            .flag("secure-port", self.api.to_string())
            .flag("tls-cert-file", self.certificates().join("tls.crt"))
            .flag("tls-private-key-file", self.certificates().join("tls.key"))
            .flag("client-ca-file", plane.authority())
            .flag("metrics-service-address", address(self.channel))
            // Its own metrics, on all interfaces: it has no flag for one.
            .flag("port", free_port()?.to_string()))
    }

    /// What both have in common.
    fn program(&self, plane: &ControlPlane, name: &str, kubeconfig: &Path) -> Program {
        let log = self.scratch.path().join(format!("{name}.log"));
        let mut program = Program::new(name, plane.binaries().program(name), log);
        program.environment = vec![
            ("KUBECONFIG".into(), kubeconfig.into()),
            ("POD_NAMESPACE".into(), NAMESPACE.into()),
            ("KEDA_CLUSTER_OBJECT_NAMESPACE".into(), NAMESPACE.into()),
            ("WATCH_NAMESPACE".into(), "".into()), // all
        ];
        program.flag("cert-dir", self.certificates())
    }

    fn certificates(&self) -> PathBuf {
        self.scratch.path().join("certificates")
    }

    /// Whom scalers trust.
    fn authorities(&self) -> PathBuf {
        self.scratch.path().join("authorities")
    }
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

async fn create_namespace(plane: &ControlPlane) -> anyhow::Result<()> {
    let namespaces = Api::<Namespace>::all(plane.client().await?);
    let apply = PatchParams::apply(MANAGER).force();
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    namespaces
        .patch(NAMESPACE, &apply, &Patch::Apply(&object))
        .await?;
    Ok(())
}

/// The operator complains of each kind that is not there when it starts.
async fn install_crds(plane: &ControlPlane) -> anyhow::Result<()> {
    let directory = plane.binaries().crds().join("keda");
    let files: Result<Vec<_>, _> = fs_err::read_dir(directory)?.collect();
    let installed = files?.into_iter().map(async |file| {
        let yaml = fs_err::read_to_string(file.path())?;
        let installed = crds::install_yaml(plane, &yaml).await;
        installed.with_context(|| format!("{}", file.path().display()))
    });
    futures::future::try_join_all(installed).await.map(drop)
}
