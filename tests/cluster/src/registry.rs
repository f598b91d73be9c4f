//! A registry of OCI artifacts on loopback (CNCF's distribution), and what is in it.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use oci_client::Reference;
use oci_client::client::{
    Certificate, CertificateEncoding, Client, ClientConfig, ClientProtocol, Config, ImageLayer,
};
use oci_client::secrets::RegistryAuth;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::binaries::Binaries;
use crate::certificates::{Authority, Pair};
use crate::http;
use crate::ports::free_port;
use crate::process::{Process, Program, Signal};
use crate::scratch::Scratch;
use crate::wait::{DEADLINE, wait_until};

/// Who may enter a registry that asks.
pub const USER: &str = "puller";
pub const PASSWORD: &str = "pull-secret";

/// The password's bcrypt hash, the only one that the registry reads.
const HASH: &str = "$2b$05$trimtabtrimtabtrimtabuQJfub1ElOqhsokd2qqJOBOo6g4Io0LC";

/// What a registry wants to see.
#[derive(Clone, Debug, Default)]
pub enum Access {
    #[default]
    Nothing,
    /// [`USER`] and [`PASSWORD`] with each request.
    Password,
    /// Any token: it says that they are given at this URL.
    Token { realm: String },
}

/// How to run a registry.
#[derive(Clone, Debug, Default)]
pub struct RegistryOptions {
    pub access: Access,
    /// Whether it serves HTTPS, with a certificate of [`Registry::authority`].
    pub tls: bool,
    /// URL of a store to which it sends whoever asks for a blob; the path of the blob's file
    /// follows.
    pub store: Option<String>,
}

/// A running registry. Dropping it kills it and removes what it has.
#[derive(Debug)]
pub struct Registry {
    process: Mutex<Process>,
    http: reqwest::Client,
    host: String,
    scheme: &'static str,
    authority: PathBuf,
    /// After the process, so that it is gone when this is removed.
    scratch: Scratch,
}

impl Registry {
    /// Starts an empty one and waits until it answers.
    ///
    /// # Errors
    /// Where it does not, with its log.
    pub async fn start(options: RegistryOptions) -> anyhow::Result<Self> {
        http::use_ring();
        let scratch = Scratch::new("registry")?;
        let path = |file: &str| scratch.path().join(file);
        let authority = Authority::new(scratch.path(), "authority")?;
        let host = format!("127.0.0.1:{}", free_port()?);
        fs_err::write(path("htpasswd"), format!("{USER}:{HASH}\n"))?;
        let tls = options.tls.then(|| authority.server("server"));
        let config = config(scratch.path(), &host, &options, tls.transpose()?);
        fs_err::write(path("config.yml"), config.to_string())?;
        let program = Binaries::find()?.program("registry");
        let mut program = Program::new("registry", program, path("registry.log"))
            .argument("serve")
            .argument(path("config.yml"));
        // Else it looks for somebody who takes its traces.
        let traces = ("OTEL_TRACES_EXPORTER".into(), "none".into());
        program.environment.push(traces);
        let registry = Self {
            process: Mutex::new(Process::start(program)?),
            http: http::client(authority.pem())?,
            host,
            scheme: if options.tls { "https" } else { "http" },
            authority: path("authority.crt"),
            scratch,
        };
        registry.ready().await?;
        Ok(registry)
    }

    /// Host and port, with which references to it begin.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// PEM of who signed its certificate.
    #[must_use]
    pub fn authority(&self) -> &Path {
        &self.authority
    }

    /// Keeps an artifact as `repository:tag`, and gives the digest of its manifest.
    ///
    /// # Errors
    /// Where the registry does not take it.
    pub async fn push(
        &self,
        name: &str,
        config_type: &str,
        layers: &[ImageLayer],
    ) -> anyhow::Result<String> {
        let reference: Reference = format!("{}/{name}", self.host).parse()?;
        let auth = RegistryAuth::Basic(USER.to_owned(), PASSWORD.to_owned());
        let config = Config::new(&b"{}"[..], config_type.to_owned(), None);
        let client = self.client()?;
        let pushed = client.push(&reference, layers, config, &auth, None);
        pushed.await.with_context(|| format!("pushing {name}"))?;
        Ok(client.fetch_manifest_digest(&reference, &auth).await?)
    }

    /// Changes one byte of a blob on its disk.
    ///
    /// # Errors
    /// Where it has no such blob.
    pub fn damage(&self, digest: &str) -> anyhow::Result<()> {
        let hex = digest.strip_prefix("sha256:").context("a digest")?;
        let start = hex.get(..2).context("a digest")?;
        let blobs = self.scratch.path().join("data/docker/registry/v2/blobs");
        let path = blobs.join("sha256").join(start).join(hex).join("data");
        let mut bytes = fs_err::read(&path)?;
        *bytes.first_mut().context("an empty blob")? ^= 1;
        Ok(fs_err::write(&path, bytes)?)
    }

    /// Kills it and waits until it is gone.
    ///
    /// # Errors
    /// Where it does not run.
    pub async fn kill(&self) -> anyhow::Result<()> {
        self.process.lock().await.signal(Signal::KILL).await
    }

    /// Starts it again after it was killed, with all that it had, and waits until it answers.
    ///
    /// # Errors
    /// Where it still runs, or does not answer.
    pub async fn restart(&self) -> anyhow::Result<()> {
        self.process.lock().await.restart()?;
        self.ready().await
    }

    fn client(&self) -> anyhow::Result<Client> {
        let authority = Certificate {
            encoding: CertificateEncoding::Pem,
            data: fs_err::read(&self.authority)?,
        };
        let protocol = match self.scheme {
            "http" => ClientProtocol::Http,
            _ => ClientProtocol::Https,
        };
        Ok(Client::try_from(ClientConfig {
            protocol,
            tls_certs_only: vec![authority],
            ..ClientConfig::default()
        })?)
    }

    async fn ready(&self) -> anyhow::Result<()> {
        let url = format!("{}://{}/v2/", self.scheme, self.host);
        let look = async || Ok(self.http.get(&url).send().await?);
        let ready = wait_until("the registry answers", DEADLINE, look).await;
        let log = self.process.lock().await.log_tail(30);
        ready.with_context(|| format!("the log of the registry ends:\n{log}"))?;
        Ok(())
    }
}

/// The configuration: JSON, which YAML has in it.
fn config(directory: &Path, host: &str, options: &RegistryOptions, tls: Option<Pair>) -> Value {
    let tls = tls.map(|pair| json!({"certificate": pair.certificate, "key": pair.key}));
    let auth = match &options.access {
        Access::Nothing => json!({}),
        Access::Password => json!({
            "htpasswd": {"realm": "tests", "path": directory.join("htpasswd")},
        }),
        Access::Token { realm } => json!({"silly": {"realm": realm, "service": "registry"}}),
    };
    let store = options.store.as_ref();
    let store = store.map(|url| json!([{"name": "redirect", "options": {"baseurl": url}}]));
    json!({
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": true}},
        "storage": {"filesystem": {"rootdirectory": directory.join("data")}},
        "http": {"addr": host, "tls": tls.unwrap_or_else(|| json!({}))},
        "auth": auth,
        "middleware": {"storage": store.unwrap_or_else(|| json!([]))},
    })
}
