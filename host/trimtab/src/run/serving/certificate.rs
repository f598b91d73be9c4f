//! The certificate of external metrics: given in files, or made, kept in a Secret that all replicas
//! share, and vouched for in the APIService.

use anyhow::{Context as _, Result, bail};
use trimtab_cluster::delegation::{self, Shared};
use trimtab_cluster::refusal::explained;
use trimtab_publish::tls::{Clients, Identity, SelfMade, until_seconds};

use crate::run::clock::now_ms;
use crate::run::config::ExternalMetrics;

/// How long one that we make is valid.
const LIFE_SECONDS: i64 = 365 * 24 * 3600;
/// A new one is made when so much is left.
const RENEW_SECONDS: i64 = LIFE_SECONDS / 3;

/// Where it comes from.
pub(super) struct Certificates {
    client: kube::Client,
    /// Namespace and name of the Service that it is for.
    service: (String, String),
    /// Files of certificate and key.
    given: Option<(String, String)>,
    secret: String,
    /// Who vouches for what is shown; `None` where it is given.
    ca: Option<String>,
}

impl Certificates {
    pub(super) fn new(
        client: &kube::Client,
        service: &(String, String),
        config: &ExternalMetrics,
    ) -> Result<Self> {
        let given = config.cert_file.clone().zip(config.key_file.clone());
        if let Some((certificate, key)) = &given {
            for file in [certificate, key] {
                fs_err::metadata(file).context("externalMetrics.certFile and keyFile")?;
            }
        }
        Ok(Self {
            client: client.clone(),
            service: service.clone(),
            given,
            secret: config.secret.clone(),
            ca: None,
        })
    }

    /// What is to be shown now.
    pub(super) async fn identity(&mut self, clients: Clients) -> Result<Identity> {
        if let Some((certificate, key)) = &self.given {
            return Ok(Identity {
                certificates: fs_err::read_to_string(certificate)?,
                key: fs_err::read_to_string(key)?,
                clients,
            });
        }
        let shared = self.shared().await?;
        self.ca = Some(shared.ca);
        Ok(Identity {
            certificates: shared.certificate,
            key: shared.key,
            clients,
        })
    }

    /// Says in the APIService who vouches for it. Of a certificate that is given, whoever gives it
    /// says that.
    pub(super) async fn vouch(&self, bundle: &str) -> Result<()> {
        let Some(ca) = self.ca.as_ref().filter(|ca| *ca != bundle) else {
            return Ok(());
        };
        let set = delegation::set_ca_bundle(&self.client, ca).await;
        set.map_err(|error| {
            let why = explained(&error, delegation::API_SERVICE_RIGHTS);
            anyhow::anyhow!("the APIService does not say who vouches for our certificate: {why}")
        })
    }

    /// The one in the Secret, or a new one where that is missing, unfit, or soon over.
    async fn shared(&self) -> Result<Shared> {
        let (namespace, service) = &self.service;
        let explain = |error: &kube::Error| {
            let why = explained(error, delegation::SECRET_RIGHTS);
            anyhow::anyhow!("Secret {namespace}/{}: {why}", self.secret)
        };
        let read = delegation::shared(&self.client, namespace, &self.secret).await;
        let before = read.map_err(|error| explain(&error))?;
        let now = i64::try_from(now_ms() / 1000)?;
        if let Some(shared) = before.as_ref().filter(|shared| is_fit(shared, now)) {
            return Ok(shared.clone());
        }
        let names = [
            format!("{service}.{namespace}.svc"),
            format!("{service}.{namespace}"),
            service.clone(),
        ];
        let made = SelfMade::new(&names, now, now + LIFE_SECONDS)?;
        // Who still shows the one before is to be trusted until it looks again.
        let earlier = before.as_ref().map(|before| first_certificate(&before.ca));
        let next = Shared {
            ca: made.ca + &earlier.unwrap_or_default(),
            certificate: made.certificate,
            key: made.key,
            version: before.and_then(|before| before.version),
        };
        let put = delegation::share(&self.client, namespace, &self.secret, &next).await;
        if put.map_err(|error| explain(&error))? {
            tracing::info!(secret = self.secret, "a certificate was made");
            return Ok(next);
        }
        // Another replica was first.
        let read = delegation::shared(&self.client, namespace, &self.secret).await;
        match read.map_err(|error| explain(&error))? {
            Some(shared) if is_fit(&shared, now) => Ok(shared),
            _ => bail!("Secret {namespace}/{}: another writes it too", self.secret),
        }
    }
}

/// Whether it can be shown for a while.
fn is_fit(shared: &Shared, now_seconds: i64) -> bool {
    let identity = Identity {
        certificates: shared.certificate.clone(),
        key: shared.key.clone(),
        clients: Clients::Unasked,
    };
    let until = until_seconds(&shared.certificate);
    !shared.ca.trim().is_empty()
        && until.is_ok_and(|until| until - now_seconds > RENEW_SECONDS)
        && trimtab_publish::tls::Tls::new(&identity).is_ok()
}

fn first_certificate(pem: &str) -> String {
    const END: &str = "-----END CERTIFICATE-----";
    let end = pem.find(END).map(|at| at + END.len());
    let first = end.and_then(|end| pem.get(..end)).unwrap_or_default();
    format!("{first}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn shared(until: i64) -> Shared {
        let made = SelfMade::new(&["a".to_owned()], NOW - 1000, until).unwrap();
        Shared {
            ca: made.ca,
            certificate: made.certificate,
            key: made.key,
            version: None,
        }
    }

    #[test]
    fn a_certificate_is_made_anew_well_before_it_is_over() {
        assert!(is_fit(&shared(NOW + LIFE_SECONDS), NOW));
        assert!(!is_fit(&shared(NOW + RENEW_SECONDS), NOW));
    }

    #[test]
    fn what_cannot_be_shown_is_made_anew() {
        let good = shared(NOW + LIFE_SECONDS);
        let other = shared(NOW + LIFE_SECONDS);
        let odd = [
            Shared {
                key: other.key,
                ..good.clone()
            },
            Shared {
                ca: " ".to_owned(),
                ..good.clone()
            },
            Shared {
                certificate: "odd".to_owned(),
                ..good
            },
            Shared::default(),
        ];
        assert!(odd.iter().all(|odd| !is_fit(odd, NOW)));
    }

    #[test]
    fn of_several_authorities_the_newest_is_first() {
        let (old, new) = (shared(NOW + 1), shared(NOW + 1));
        let both = new.ca.clone() + &old.ca;
        assert_eq!(first_certificate(&both).trim(), new.ca.trim());
        assert_eq!(first_certificate("odd").trim(), "");
    }
}
