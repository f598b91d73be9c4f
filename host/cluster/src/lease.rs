//! One leader: a Lease of `coordination.k8s.io`, held as client-go's leader election holds it, so
//! that clocks of different machines need not agree.

#[cfg(test)]
mod tests;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PostParams};
use kube::{Client, Error};

/// Which Lease is held, by whom, and for how long. All times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseConfig {
    pub namespace: String,
    pub name: String,
    /// Of this process; no other may have the same.
    pub identity: String,
    /// Others wait this long after the last renewal that they saw.
    pub duration_ms: u64,
    /// A leader that could not renew for this long no longer takes itself for one. Must be less
    /// than the duration.
    pub renew_deadline_ms: u64,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// This process, for the so-manieth change of leaders, until it stands down unless it renews.
    Leader { transitions: u32, until_ms: u64 },
    /// Another, or nobody yet.
    Follower { leader: Option<String> },
}

/// Takes and renews the Lease.
pub struct Elector {
    api: Api<Lease>,
    candidacy: Candidacy,
    /// The Lease as this process wrote it last: it can be renewed without being read.
    written: Option<Lease>,
}

/// What this process knows of the Lease; without a connection.
#[derive(Debug)]
struct Candidacy {
    config: LeaseConfig,
    seen: Option<Seen>,
    /// Instant of the last renewal that went well.
    renewed_ms: Option<u64>,
    transitions: u32,
}

/// A record of the Lease, and when this process first saw it.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    holder: Option<String>,
    renewed: Option<MicroTime>,
    at_ms: u64,
}

/// What to do about a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Renew,
    TakeOver,
    Wait,
}

/// What a Lease says, for those who look on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub holder: Option<String>,
    pub renewed_ms: Option<u64>,
    pub duration_ms: u64,
}

/// `None` where there is no such Lease.
///
/// # Errors
/// The API server does not say.
pub async fn held(client: &Client, namespace: &str, name: &str) -> Result<Option<Held>, Error> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), namespace);
    let lease = leases.get_opt(name).await?;
    Ok(lease.map(|lease| {
        let spec = lease.spec.unwrap_or_default();
        let renewed = spec.renew_time.map(|MicroTime(at)| at.as_millisecond());
        let seconds = spec.lease_duration_seconds.unwrap_or_default();
        Held {
            holder: spec.holder_identity.filter(|holder| !holder.is_empty()),
            renewed_ms: renewed.and_then(|at| u64::try_from(at).ok()),
            duration_ms: u64::try_from(seconds).unwrap_or(0) * 1000,
        }
    }))
}

impl Elector {
    #[must_use]
    pub fn new(client: Client, config: LeaseConfig) -> Self {
        Self {
            api: Api::namespaced(client, &config.namespace),
            candidacy: Candidacy::new(config),
            written: None,
        }
    }

    /// Namespace and name.
    #[must_use]
    pub fn lease(&self) -> String {
        let LeaseConfig {
            namespace, name, ..
        } = &self.candidacy.config;
        format!("{namespace}/{name}")
    }

    /// Whether this process leads at this instant: its last renewal is recent enough.
    #[must_use]
    pub fn standing(&self, now_ms: u64) -> Standing {
        self.candidacy.standing(now_ms)
    }

    /// Takes or renews the Lease where that is due. Call it every few seconds.
    ///
    /// # Errors
    /// The API server did not answer, or refused. What was held stays held until its deadline.
    pub async fn step(&mut self, now_ms: u64) -> Result<(), Error> {
        // Of one that was written without an answer nothing is known: then it is read.
        if let Some(lease) = self.written.take() {
            let spec = lease.spec.clone().unwrap_or_default();
            if self.write(lease, spec, now_ms).await? {
                return Ok(());
            }
        }
        let Some(lease) = self.api.get_opt(&self.candidacy.config.name).await? else {
            return self.create(now_ms).await;
        };
        let spec = lease.spec.clone().unwrap_or_default();
        self.candidacy.see(&spec, now_ms);
        match self.candidacy.act(&spec, now_ms) {
            Act::Wait => {
                self.candidacy.renewed_ms = None;
                Ok(())
            }
            Act::Renew => self.write(lease, spec, now_ms).await.map(drop),
            Act::TakeOver => {
                let transitions = spec.lease_transitions.unwrap_or(0).saturating_add(1);
                let spec = LeaseSpec {
                    lease_transitions: Some(transitions),
                    acquire_time: Some(micro(now_ms)),
                    ..spec
                };
                self.write(lease, spec, now_ms).await.map(drop)
            }
        }
    }

    /// Gives the Lease up, so that another need not wait for its end.
    ///
    /// # Errors
    /// The API server did not answer, or another holds the Lease already.
    pub async fn release(&mut self) -> Result<(), Error> {
        if self.candidacy.renewed_ms.take().is_none() {
            return Ok(());
        }
        let Some(mut lease) = self.api.get_opt(&self.candidacy.config.name).await? else {
            return Ok(());
        };
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(&self.candidacy.config.identity) {
            return Ok(());
        }
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(1);
        self.replace(&lease).await.map(drop)
    }

    async fn create(&mut self, now_ms: u64) -> Result<(), Error> {
        let spec = LeaseSpec {
            acquire_time: Some(micro(now_ms)),
            lease_transitions: Some(0),
            ..LeaseSpec::default()
        };
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.candidacy.config.name.clone()),
                namespace: Some(self.candidacy.config.namespace.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(self.candidacy.held(spec, now_ms)),
        };
        match self.api.create(&PostParams::default(), &lease).await {
            Ok(created) => self.hold(created, now_ms),
            Err(error) if has_code(&error, 409) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Replaces exactly the Lease that was read, or written last: where another was faster, it has
    /// it, and where it is gone it stays so. Tells whether this process holds it now.
    async fn write(&mut self, lease: Lease, spec: LeaseSpec, now_ms: u64) -> Result<bool, Error> {
        let lease = Lease {
            spec: Some(self.candidacy.held(spec, now_ms)),
            ..lease
        };
        match self.replace(&lease).await {
            Ok(lease) => {
                self.hold(lease, now_ms);
                Ok(true)
            }
            Err(error) if has_code(&error, 404) || has_code(&error, 409) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn hold(&mut self, lease: Lease, now_ms: u64) {
        let spec = lease.spec.clone().unwrap_or_default();
        self.candidacy.hold(&spec, now_ms);
        self.written = Some(lease);
    }

    async fn replace(&self, lease: &Lease) -> Result<Lease, Error> {
        let parameters = PostParams::default();
        let name = &self.candidacy.config.name;
        self.api.replace(name, &parameters, lease).await
    }
}

impl Candidacy {
    const fn new(config: LeaseConfig) -> Self {
        Self {
            config,
            seen: None,
            renewed_ms: None,
            transitions: 0,
        }
    }

    fn standing(&self, now_ms: u64) -> Standing {
        let deadline = |renewed: u64| renewed.saturating_add(self.config.renew_deadline_ms);
        if let Some(until_ms) = self.renewed_ms.map(deadline).filter(|at| now_ms < *at) {
            return Standing::Leader {
                transitions: self.transitions,
                until_ms,
            };
        }
        let leader = self.seen.as_ref().and_then(|seen| seen.holder.clone());
        Standing::Follower {
            leader: leader.filter(|leader| *leader != self.config.identity),
        }
    }

    fn see(&mut self, spec: &LeaseSpec, now_ms: u64) {
        let holder = spec.holder_identity.clone();
        let holder = holder.filter(|holder| !holder.is_empty());
        let renewed = spec.renew_time.clone();
        let unchanged = self
            .seen
            .as_ref()
            .is_some_and(|seen| seen.holder == holder && seen.renewed == renewed);
        if !unchanged {
            self.seen = Some(Seen {
                holder,
                renewed,
                at_ms: now_ms,
            });
        }
    }

    fn act(&self, spec: &LeaseSpec, now_ms: u64) -> Act {
        let Some(seen) = &self.seen else {
            return Act::Wait;
        };
        match &seen.holder {
            None => Act::TakeOver,
            // A process that was restarted under its old name starts a reign of its own: what it
            // knew is gone.
            Some(holder) if *holder == self.config.identity => match self.renewed_ms {
                Some(_) => Act::Renew,
                None => Act::TakeOver,
            },
            Some(_) => {
                let written = spec
                    .lease_duration_seconds
                    .and_then(|s| u64::try_from(s).ok());
                let duration = written.map_or(self.config.duration_ms, |s| s * 1000);
                if now_ms >= seen.at_ms.saturating_add(duration) {
                    Act::TakeOver
                } else {
                    Act::Wait
                }
            }
        }
    }

    fn held(&self, spec: LeaseSpec, now_ms: u64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.config.identity.clone()),
            lease_duration_seconds: i32::try_from(self.config.duration_ms.div_ceil(1000)).ok(),
            renew_time: Some(micro(now_ms)),
            ..spec
        }
    }

    fn hold(&mut self, spec: &LeaseSpec, now_ms: u64) {
        self.renewed_ms = Some(now_ms);
        self.transitions = u32::try_from(spec.lease_transitions.unwrap_or(0)).unwrap_or(0);
        self.see(spec, now_ms);
    }
}

/// An instant as objects have it.
pub(crate) fn micro(now_ms: u64) -> MicroTime {
    let millis = i64::try_from(now_ms).unwrap_or(i64::MAX);
    MicroTime(Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX))
}

fn has_code(error: &Error, code: u16) -> bool {
    matches!(error, Error::Api(status) if status.code == code)
}
