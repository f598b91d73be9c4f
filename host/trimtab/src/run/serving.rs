//! Serving those who scale by us: HPAs over the API server's aggregation layer, and KEDA.

mod certificate;
mod leader_label;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use trimtab_cluster::delegation::{self, Owner};
use trimtab_cluster::own_pod::OwnPod;
use trimtab_cluster::refusal::explained;
use trimtab_publish::desired::Desired;
use trimtab_publish::external_metrics::{self, Access, FrontProxy};
use trimtab_publish::http::{Shared, serve};
use trimtab_publish::metrics::Registry;
use trimtab_publish::scaler::{self, Registrations};
use trimtab_publish::tls::{Clients, Identity, Tls};

use self::certificate::Certificates;
use self::leader_label::LeaderLabel;
use super::clock::Stopwatch;
use super::config::{Config, ExternalScaler};
use super::leader::Leadership;
use super::review::ApiServer;
use super::{shutdown, wiring};

/// How often what is shown and whom it is shown to is looked at again.
const LOOK: Duration = Duration::from_secs(10);

/// What the servers need.
pub(super) struct Serving {
    pub(super) client: kube::Client,
    pub(super) namespace: String,
    pub(super) desired: Arc<Desired>,
    pub(super) registrations: Arc<Registrations>,
    pub(super) registry: Arc<Registry>,
    pub(super) clock: Stopwatch,
    pub(super) stopping: watch::Receiver<bool>,
}

impl Serving {
    /// Servers for those addresses that are set; and the label by which Services find the leader.
    ///
    /// # Errors
    /// One cannot be listened on, or a certificate that is given cannot be shown.
    pub(super) async fn start(
        self,
        config: &Config,
        leadership: &Leadership,
    ) -> Result<Vec<JoinHandle<()>>> {
        let mut servers = Vec::new();
        let listen = &config.listen;
        let key = "listen.externalScaler";
        if let Some(listener) = wiring::bind(listen.external_scaler, key).await? {
            let tls = scaler_tls(&config.external_scaler)?;
            let scaler = Scaler {
                routes: scaler::routes(Arc::clone(&self.desired), Arc::clone(&self.registrations)),
                listener: Arc::new(listener),
                tls,
                given: config.external_scaler.clone(),
            };
            servers.push(tokio::spawn(
                scaler.serve(leadership.clone(), self.stopping.clone()),
            ));
        }
        let key = "listen.externalMetrics";
        if let Some(listener) = wiring::bind(listen.external_metrics, key).await? {
            let metrics = ExternalMetrics::new(&self, config)?;
            servers.push(tokio::spawn(metrics.serve(listener)));
        }
        if let (Ok(pod), Ok(namespace)) = (env::var("POD_NAME"), env::var("POD_NAMESPACE")) {
            let pod = OwnPod::new(self.client, namespace, pod, config.lease_name());
            let label = LeaderLabel::new(pod, leadership.clone(), self.stopping);
            servers.push(tokio::spawn(label.keep()));
        }
        Ok(servers)
    }
}

/// KEDA's side.
struct Scaler {
    routes: axum::Router,
    listener: Arc<TcpListener>,
    tls: Option<Arc<Tls>>,
    given: ExternalScaler,
}

impl Scaler {
    /// Until the process is told to stop. With each change of leaders, connections are closed: KEDA
    /// keeps one for as long as it can, and is to find who leads.
    async fn serve(self, mut leadership: Leadership, stopping: watch::Receiver<bool>) {
        loop {
            let ended = async {
                tokio::select! {
                    () = leadership.changed() => {}
                    () = shutdown::told(stopping.clone()) => {}
                }
            };
            let listener = Arc::clone(&self.listener);
            let routes = self.routes.clone();
            let served = match &self.tls {
                Some(tls) => {
                    let listener = Arc::clone(tls).listen(listener);
                    let reread = self.reread(tls);
                    tokio::select! {
                        served = serve(listener, routes, ended) => served,
                        () = reread => return,
                    }
                }
                None => serve(Shared(listener), routes, ended).await,
            };
            if let Err(error) = served {
                tracing::debug!(%error, "connections of KEDA were cut");
            }
            if *stopping.borrow() {
                return;
            }
        }
    }

    /// Shows what is in the files now, as long as it is served.
    async fn reread(&self, tls: &Tls) {
        let mut shown = None;
        let mut told = None;
        loop {
            let replaced = scaler_identity(&self.given).and_then(|identity| {
                if identity != shown
                    && let Some(of) = &identity
                {
                    tls.replace(of).context("externalScaler.certFile")?;
                    shown = identity;
                }
                Ok(())
            });
            let failed = replaced.err().map(|error| format!("{error:#}"));
            if let Some(error) = failed.as_ref().filter(|_| failed != told) {
                tracing::warn!(error, "the certificate of before is shown to KEDA");
            }
            told = failed;
            tokio::time::sleep(LOOK).await;
        }
    }
}

fn scaler_tls(given: &ExternalScaler) -> Result<Option<Arc<Tls>>> {
    let Some(identity) = scaler_identity(given)? else {
        return Ok(None);
    };
    let tls = Tls::new(&identity).context("externalScaler.certFile")?;
    Ok(Some(Arc::new(tls)))
}

fn scaler_identity(given: &ExternalScaler) -> Result<Option<Identity>> {
    let (Some(certificate), Some(key)) = (&given.cert_file, &given.key_file) else {
        return Ok(None);
    };
    let clients = given.client_ca_file.as_ref();
    let clients = clients.map(fs_err::read_to_string).transpose()?;
    Ok(Some(Identity {
        certificates: fs_err::read_to_string(certificate)?,
        key: fs_err::read_to_string(key)?,
        clients: clients.map_or(Clients::Unasked, Clients::Required),
    }))
}

/// The API server's side.
struct ExternalMetrics {
    client: kube::Client,
    registry: Arc<Registry>,
    access: Arc<Access>,
    routes: axum::Router,
    /// Namespace and name of the Service that leads to us.
    service: (String, String),
    certificates: Certificates,
    stopping: watch::Receiver<bool>,
    /// What was told of last.
    trouble: Option<String>,
    /// Why the APIService could not be read or written last: told once.
    unsaid: Option<String>,
    owner: Option<Owner>,
}

impl ExternalMetrics {
    fn new(of: &Serving, config: &Config) -> Result<Self> {
        let clock = of.clock;
        let access = Access::new(ApiServer(of.client.clone()), move || clock.elapsed());
        let access = Arc::new(access);
        let instance = config.controller_instance.as_deref();
        let service = (
            of.namespace.clone(),
            config.external_metrics.service.clone(),
        );
        Ok(Self {
            routes: external_metrics::routes(
                Arc::clone(&of.desired),
                Arc::clone(&access),
                instance,
            ),
            certificates: Certificates::new(&of.client, &service, &config.external_metrics)?,
            client: of.client.clone(),
            registry: Arc::clone(&of.registry),
            access,
            service,
            stopping: of.stopping.clone(),
            trouble: None,
            unsaid: None,
            owner: None,
        })
    }

    /// Until the process is told to stop. Nothing is served before there is a certificate.
    async fn serve(mut self, listener: TcpListener) {
        let listener = Arc::new(listener);
        let mut serving: Option<(Arc<Tls>, Identity, JoinHandle<()>)> = None;
        loop {
            let looked = self.look().await;
            let trouble = looked.as_ref().err().map(|why| format!("{why:#}"));
            if let Some(why) = trouble.as_ref().filter(|_| trouble != self.trouble) {
                tracing::warn!(why, "external metrics");
            }
            self.trouble = trouble;
            if let Ok(identity) = looked {
                match &mut serving {
                    Some((_, shown, _)) if *shown == identity => {}
                    Some((tls, shown, _)) => match tls.replace(&identity) {
                        Ok(()) => {
                            tracing::info!("external metrics show another certificate");
                            *shown = identity;
                        }
                        Err(error) => tracing::warn!(%error, "external metrics"),
                    },
                    None => match Tls::new(&identity) {
                        Ok(tls) => {
                            let tls = Arc::new(tls);
                            let server = self.server(&tls, &listener);
                            serving = Some((tls, identity, server));
                        }
                        Err(error) => tracing::warn!(%error, "external metrics"),
                    },
                }
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = shutdown::told(self.stopping.clone()) => break,
            }
        }
        if let Some((_, _, server)) = serving
            && let Err(error) = server.await
        {
            tracing::warn!(%error, "the server of external metrics ended badly");
        }
    }

    fn server(&self, tls: &Arc<Tls>, listener: &Arc<TcpListener>) -> JoinHandle<()> {
        let listener = Arc::clone(tls).listen(Arc::clone(listener));
        let routes = self.routes.clone();
        let stop = shutdown::told(self.stopping.clone());
        tokio::spawn(async move {
            if let Err(error) = serve(listener, routes, stop).await {
                tracing::warn!(%error, "the server of external metrics ended badly");
            }
        })
    }

    /// What is to be shown now, and to whom.
    async fn look(&mut self) -> Result<Identity> {
        let owner = self.owner().await;
        let front = delegation::front_proxy(&self.client).await;
        let front = front.map_err(|error| {
            let why = explained(&error, delegation::FRONT_PROXY_RIGHTS);
            anyhow::anyhow!("how the API server passes on who asks is not known: {why}")
        })?;
        self.access.trust(FrontProxy {
            allowed_names: front.allowed_names,
            username_headers: front.username_headers,
            group_headers: front.group_headers,
            uid_headers: front.uid_headers,
            extra_header_prefixes: front.extra_header_prefixes,
        });
        let clients = front.ca.map_or(Clients::Unasked, Clients::Offered);
        let identity = self.certificates.identity(clients).await?;
        let vouched = match owner {
            Ok(Owner::Ours { ca_bundle, .. }) => self.certificates.vouch(&ca_bundle).await,
            Ok(Owner::Nobody | Owner::Other(_)) => Ok(()),
            Err(error) => Err(error),
        };
        // Whoever else says whose it is, or vouches for us, needs neither.
        let unsaid = vouched.err().map(|error| format!("{error:#}"));
        if let Some(why) = unsaid.as_ref().filter(|_| unsaid != self.unsaid) {
            tracing::warn!(why, "external metrics");
        }
        self.unsaid = unsaid;
        Ok(identity)
    }

    /// Whose API it is; a change is told.
    async fn owner(&mut self) -> Result<Owner> {
        let (namespace, name) = &self.service;
        let owner = delegation::owner(&self.client, (namespace, name)).await;
        let owner = owner.map_err(|error| {
            let why = explained(&error, delegation::API_SERVICE_RIGHTS);
            anyhow::anyhow!("who serves external metrics is not known: {why}")
        })?;
        let who = |owner: &Owner| match owner {
            Owner::Nobody => None,
            Owner::Ours { .. } => Some(format!("{namespace}/{name}")),
            Owner::Other(other) => Some(other.clone()),
        };
        if self.owner.as_ref().map(who) != Some(who(&owner)) {
            match &owner {
                Owner::Nobody => tracing::warn!(
                    "no HPA can read us: there is no APIService v1beta1.external.metrics.k8s.io"
                ),
                Owner::Ours { .. } => tracing::info!(namespace, name, "HPAs can read us"),
                Owner::Other(other) => tracing::warn!(
                    other,
                    "no HPA can read us: Service {other} serves external metrics in this cluster; \
                     use it, or KEDA's external scaler, or give it up"
                ),
            }
        }
        let ours = matches!(owner, Owner::Ours { .. });
        self.registry.external_metrics(who(&owner).as_deref(), ours);
        self.owner = Some(owner.clone());
        Ok(owner)
    }
}
