//! The configuration as it changes: the file and WVA's ConfigMaps are read again while running.

use std::time::Duration;

use anyhow::Result;
use trimtab_cluster::config_maps;
use trimtab_cluster::refusal::explained;

use super::clock::Stopwatch;
use super::config::{Config, PoolEntry, Setting};
use super::cycle::Cycle;
use super::inherited::{self, Sought};
use super::logging::Log;
use super::wiring::Clients;
use super::wva::Translation;
use super::{RunArguments, file, load};

/// ConfigMaps are asked for at most so often; the file is read before each cycle.
const CONFIG_MAPS: Duration = Duration::from_secs(60);

/// No cycle waits for them any longer.
const ANSWER: Duration = Duration::from_secs(5);

/// Where the configuration comes from, and what it said last.
pub(super) struct Reloading<'a> {
    arguments: &'a RunArguments,
    log: &'a Log,
    client: kube::Client,
    /// Of the kubeconfig, or the pod's own.
    namespace: String,
    sought: Sought,
    translation: Translation,
    asked: Stopwatch,
    /// What the file and WVA's ConfigMaps said when they were last taken over.
    looked_at: Option<(Option<String>, Vec<Setting>)>,
    /// Why WVA's ConfigMaps could not be read last: told once.
    unread: Option<String>,
    /// The last complaint about the file: told once.
    complaint: Option<String>,
    /// Keys that wait for a restart: told once.
    waiting: Vec<String>,
}

impl<'a> Reloading<'a> {
    pub(super) fn new(arguments: &'a RunArguments, log: &'a Log, clients: &Clients) -> Self {
        Self {
            arguments,
            log,
            client: clients.asking.clone(),
            namespace: clients.namespace.clone(),
            sought: Sought::default(),
            translation: Translation::default(),
            asked: Stopwatch::start(),
            looked_at: None,
            unread: None,
            complaint: None,
            waiting: Vec::new(),
        }
    }

    /// The configuration to start with. A cluster that does not let its ConfigMaps be read has
    /// none of WVA's, as far as we are concerned.
    ///
    /// # Errors
    /// The configuration cannot be.
    pub(super) async fn first(&mut self) -> Result<Config> {
        let text = file(self.arguments)?;
        let config = load(self.arguments, text.as_deref(), &[])?;
        self.sought = Sought::of(&config, &self.namespace);
        self.read_config_maps().await;
        load(self.arguments, text.as_deref(), &self.translation.settings)
    }

    /// What WVA's ConfigMaps say of pools.
    pub(super) fn pools(&self) -> Vec<PoolEntry> {
        self.translation.pools.clone()
    }

    /// Takes over what can be, and tells of the rest.
    pub(super) async fn reload(&mut self, cycle: &mut Cycle) {
        if self.asked.elapsed() >= CONFIG_MAPS {
            self.read_config_maps().await;
            cycle.inherited = self.pools();
        }
        let text = match file(self.arguments) {
            Ok(text) => text,
            Err(error) => return self.complain(&error),
        };
        let now = (text, self.translation.settings.clone());
        if self.looked_at.as_ref() == Some(&now) {
            return;
        }
        let config = load(self.arguments, now.0.as_deref(), &now.1);
        let checked = config.and_then(|config| {
            let next = cycle.config.reloaded(&config);
            cycle.policies.check(&next).map(|()| (config, next))
        });
        match checked {
            Ok((config, next)) => {
                self.complaint = None;
                self.looked_at = Some(now);
                self.take(&config, next, cycle);
            }
            Err(error) => self.complain(&error),
        }
    }

    fn complain(&mut self, error: &anyhow::Error) {
        let complaint = format!("{error:#}");
        if self.complaint.as_ref() != Some(&complaint) {
            tracing::error!(complaint, "the configuration cannot be; the last one holds");
        }
        self.complaint = Some(complaint);
        self.looked_at = None;
    }

    /// `next` is what can be taken over of `config`.
    fn take(&mut self, config: &Config, next: Config, cycle: &mut Cycle) {
        let changes = cycle.config.changes(config);
        if changes.restart != self.waiting {
            let keys = changes.restart.join(", ");
            tracing::warn!(keys, "these keys changed; they hold from the next start on");
            self.waiting.clone_from(&changes.restart);
        }
        if changes.reloaded.is_empty() {
            return;
        }
        tracing::info!(
            keys = changes.reloaded.join(", "),
            "configuration taken over"
        );
        cycle.config = next;
        let policies = &cycle.config.policies;
        cycle.policies.set_optimizer(&policies.optimizer.settings);
        if let Err(error) = self.log.set_level(&cycle.config.logging.level) {
            tracing::error!(%error, "the level of the log stays");
        }
    }

    async fn read_config_maps(&mut self) {
        self.asked.lap();
        let read = inherited::read(&self.client, &self.sought);
        let unread = match tokio::time::timeout(ANSWER, read).await {
            Ok(Ok((translation, refused))) => {
                if translation != self.translation {
                    inherited::tell(&translation);
                    self.translation = translation;
                }
                refused.map(|error| explained(&error, config_maps::RIGHTS))
            }
            Ok(Err(error)) => Some(explained(&error, config_maps::RIGHTS)),
            Err(_) => Some("the API server does not answer".to_owned()),
        };
        if let Some(why) = unread.as_ref().filter(|_| unread != self.unread) {
            tracing::warn!(why, "WVA's ConfigMaps cannot all be read");
        }
        self.unread = unread;
    }
}
