//! What a control plane has on disk and where it listens: certificates, kubeconfigs, ports, data.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::programs::{ETCD_PEER, NAMES};
use crate::certificates::{self, Authority, Pair};
use crate::kubeconfig;
use crate::ports::free_port;
use crate::scratch::Scratch;

/// Users that the control plane's own processes are.
const USERS: [(&str, &str, &[&str]); 3] = [
    ("admin", "admin", &["system:masters"]),
    (
        "kube-controller-manager",
        "system:kube-controller-manager",
        &[],
    ),
    ("kube-scheduler", "system:kube-scheduler", &[]),
];

#[derive(Debug)]
pub(super) struct Layout {
    scratch: Scratch,
    ports: BTreeMap<&'static str, u16>,
    pub(super) authority: Authority,
}

impl Layout {
    pub(super) fn new() -> anyhow::Result<Self> {
        let scratch = Scratch::new("control-plane")?;
        let certificates = scratch.path().join("certificates");
        let listeners = NAMES.into_iter().chain([ETCD_PEER]);
        let ports: anyhow::Result<BTreeMap<_, _>> =
            listeners.map(|name| Ok((name, free_port()?))).collect();
        let layout = Self {
            authority: Authority::new(&certificates, "ca")?,
            ports: ports?,
            scratch,
        };
        layout.authority.server("server")?;
        let front_proxy = Authority::new(&certificates, "front-proxy-ca")?;
        front_proxy.client("front-proxy", "front-proxy", &[])?;
        certificates::signing_key(&certificates, "service-accounts")?;
        for (file, user, groups) in USERS {
            layout.add_user(file, user, groups)?;
        }
        Ok(layout)
    }

    pub(super) fn directory(&self) -> &Path {
        self.scratch.path()
    }

    pub(super) fn certificate(&self, file: &str) -> PathBuf {
        self.directory().join("certificates").join(file)
    }

    pub(super) fn pair(&self, name: &str) -> Pair {
        Pair {
            certificate: self.certificate(&format!("{name}.crt")),
            key: self.certificate(&format!("{name}.key")),
        }
    }

    pub(super) fn authority_file(&self) -> PathBuf {
        self.certificate("ca.crt")
    }

    pub(super) fn kubeconfig(&self, file: &str) -> PathBuf {
        self.directory().join(format!("{file}.kubeconfig"))
    }

    pub(super) fn add_user(
        &self,
        file: &str,
        user: &str,
        groups: &[&str],
    ) -> anyhow::Result<PathBuf> {
        let client = self
            .authority
            .client(&format!("user-{file}"), user, groups)?;
        let path = self.kubeconfig(file);
        let server = self.url("kube-apiserver");
        kubeconfig::write(&path, &server, &self.authority_file(), &client)?;
        Ok(path)
    }

    pub(super) fn port(&self, name: &str) -> u16 {
        self.ports.get(name).copied().unwrap_or_default()
    }

    pub(super) fn url(&self, name: &str) -> String {
        let scheme = match name {
            "etcd" | ETCD_PEER | "kwok" => "http",
            _ => "https",
        };
        format!("{scheme}://127.0.0.1:{}", self.port(name))
    }
}
