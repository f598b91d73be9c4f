//! The processes of a control plane with their arguments, in the order in which they start.

use super::audit::{self, Audited};
use super::{ControlPlane, Options};
use crate::process::Program;

pub(super) const NAMES: [&str; 5] = [
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok",
];

/// etcd's second listener, for the other members that there are none of.
pub(super) const ETCD_PEER: &str = "etcd-peer";

/// Requests per second that the controllers may make: with the default of 20 a new cluster's first
/// Deployment waits for seconds.
const REQUESTS_PER_SECOND: &str = "300";
const REQUESTS_AT_ONCE: &str = "600";

/// The audit log is one file: with the default of 100 MB another would be begun.
const AUDIT_LOG_MEGABYTES: &str = "10000";

/// Where a process says that it is ready.
pub(super) fn health(name: &str) -> &'static str {
    match name {
        "etcd" => "/health",
        "kube-apiserver" => "/readyz",
        _ => "/healthz",
    }
}

impl ControlPlane {
    pub(super) fn programs(&self, options: &Options) -> anyhow::Result<Vec<Program>> {
        let gates = &options.feature_gates;
        let api_server = with_gates(self.api_server(), gates);
        let mut programs = vec![
            self.etcd(),
            self.with_audit(api_server, &options.audited)?,
            with_gates(self.controller_manager(options), gates),
            self.scheduler(),
            self.kwok(options),
        ];
        for (name, argument) in &options.arguments {
            for program in programs.iter_mut().filter(|of| of.name == *name) {
                program.arguments.push(argument.into());
            }
        }
        Ok(programs)
    }

    fn program(&self, name: &str) -> Program {
        let log = self.directory().join(format!("{name}.log"));
        Program::new(name, self.binaries.program(name), log)
    }

    /// Whatever is written is lost with the machine, so nothing waits for the disk.
    fn etcd(&self) -> Program {
        let (client, peer) = (self.layout.url("etcd"), self.layout.url(ETCD_PEER));
        self.program("etcd")
            .flag("data-dir", self.directory().join("etcd"))
            .argument("--unsafe-no-fsync")
            .flag("log-level", "warn")
            .flag("listen-client-urls", &client)
            .flag("advertise-client-urls", &client)
            .flag("listen-peer-urls", &peer)
            .flag("initial-advertise-peer-urls", &peer)
            .flag("initial-cluster", format!("default={peer}"))
    }

    fn api_server(&self) -> Program {
        let certificate = |file| self.layout.certificate(file);
        let program = self
            .program("kube-apiserver")
            .flag("etcd-servers", self.layout.url("etcd"))
            .flag("bind-address", "127.0.0.1")
            .flag("secure-port", self.port("kube-apiserver"))
            // Else it wants an address to advertise that is not loopback.
            .flag("endpoint-reconciler-type", "none")
            // Loopback too: a server on its Service's address needs no kube-proxy.
            .flag("service-cluster-ip-range", "127.77.0.0/16")
            .flag("authorization-mode", "RBAC")
            .switch("profiling", false);
        program
            .flag("tls-cert-file", certificate("server.crt"))
            .flag("tls-private-key-file", certificate("server.key"))
            .flag("client-ca-file", certificate("ca.crt"))
            .flag(
                "service-account-issuer",
                "https://kubernetes.default.svc.cluster.local",
            )
            .flag(
                "service-account-key-file",
                certificate("service-accounts.pub"),
            )
            .flag(
                "service-account-signing-key-file",
                certificate("service-accounts.key"),
            )
            .flag(
                "requestheader-client-ca-file",
                certificate("front-proxy-ca.crt"),
            )
            .flag("requestheader-allowed-names", "front-proxy")
            .flag("requestheader-username-headers", "X-Remote-User")
            .flag("requestheader-group-headers", "X-Remote-Group")
            .flag("requestheader-extra-headers-prefix", "X-Remote-Extra-")
            .flag("proxy-client-cert-file", certificate("front-proxy.crt"))
            .flag("proxy-client-key-file", certificate("front-proxy.key"))
    }

    fn with_audit(&self, api_server: Program, audited: &Audited) -> anyhow::Result<Program> {
        let Some(policy) = audit::policy(audited) else {
            return Ok(api_server);
        };
        let file = self.directory().join("audit-policy.json");
        fs_err::write(&file, policy.to_string())?;
        Ok(api_server
            .flag("audit-policy-file", file)
            .flag("audit-log-path", self.audit_log())
            .flag("audit-log-maxsize", AUDIT_LOG_MEGABYTES))
    }

    fn controller_manager(&self, options: &Options) -> Program {
        let seconds = |duration: std::time::Duration| format!("{}ms", duration.as_millis());
        self.controller("kube-controller-manager")
            .switch("use-service-account-credentials", true)
            .flag(
                "service-account-private-key-file",
                self.layout.certificate("service-accounts.key"),
            )
            .flag("root-ca-file", self.layout.authority_file())
            .flag(
                "horizontal-pod-autoscaler-sync-period",
                seconds(options.hpa_sync),
            )
            .flag(
                "horizontal-pod-autoscaler-downscale-stabilization",
                seconds(options.hpa_downscale_stabilization),
            )
    }

    fn scheduler(&self) -> Program {
        self.controller("kube-scheduler")
    }

    /// What the controller manager and the scheduler have in common.
    fn controller(&self, name: &str) -> Program {
        let kubeconfig = self.layout.kubeconfig(name);
        self.program(name)
            .flag("kubeconfig", &kubeconfig)
            .flag("authentication-kubeconfig", &kubeconfig)
            .flag("authorization-kubeconfig", &kubeconfig)
            .flag("bind-address", "127.0.0.1")
            .flag("secure-port", self.port(name))
            .flag("tls-cert-file", self.layout.certificate("server.crt"))
            .flag(
                "tls-private-key-file",
                self.layout.certificate("server.key"),
            )
            .flag("kube-api-qps", REQUESTS_PER_SECOND)
            .flag("kube-api-burst", REQUESTS_AT_ONCE)
            .switch("leader-elect", false)
            .switch("profiling", false)
    }

    fn kwok(&self, options: &Options) -> Program {
        let address = format!("127.0.0.1:{}", self.port("kwok"));
        self.program("kwok")
            .flag("kubeconfig", self.kubeconfig())
            .flag("config", self.binaries.stages())
            .switch("manage-all-nodes", true)
            .flag("server-address", address)
            .flag("node-ip", "127.0.0.1")
            .flag("cidr", &options.pod_cidr)
            .flag("node-lease-duration-seconds", "40")
    }

    fn port(&self, name: &str) -> String {
        self.layout.port(name).to_string()
    }
}

fn with_gates(program: Program, gates: &[String]) -> Program {
    if gates.is_empty() {
        return program;
    }
    program.flag("feature-gates", gates.join(","))
}
