//! Who asks, and whether they may: by the front proxy's certificate and headers, or a bearer token,
//! and the API server's own word on both.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{HeaderMap, Method, StatusCode, header};

use crate::tls::Peer;

/// As long as the API server's own delegates take its word for.
const REMEMBERED: Duration = Duration::from_secs(10);
/// Most words that are remembered; beyond it all are asked for anew.
const MOST_REMEMBERED: usize = 4096;
/// Whoever is of it may do anything, as in every API server: kube-aggregator's own checks, too.
const MASTERS: &str = "system:masters";
/// Whoever is known is of it, as in every API server: it may discover and read what describes us.
const AUTHENTICATED: &str = "system:authenticated";

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct User {
    pub name: String,
    pub uid: String,
    pub groups: Vec<String>,
    pub extra: BTreeMap<String, Vec<String>>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// External metrics of a namespace, by name.
    Metric {
        namespace: String,
        metric: String,
        verb: String,
    },
    Path {
        path: String,
        verb: String,
    },
}

/// What is asked of Kubernetes. Errors say why it gives no answer.
#[async_trait]
pub trait Reviewer: Send + Sync {
    /// Whose token this is; `None` where it is nobody's.
    async fn whose(&self, token: &str) -> Result<Option<User>, String>;
    async fn may(&self, user: &User, asked: &Asked) -> Result<bool, String>;
    /// Whether labels are those of a selector; the error says what is wrong with it.
    fn selects(
        &self,
        selector: &str,
        labels: &BTreeMap<&'static str, String>,
    ) -> Result<bool, String>;
}

/// How the API server passes on who asks: what it publishes in the ConfigMap
/// `kube-system/extension-apiserver-authentication`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrontProxy {
    /// Names of which its certificate must have one; none: any.
    pub allowed_names: Vec<String>,
    pub username_headers: Vec<String>,
    pub group_headers: Vec<String>,
    pub uid_headers: Vec<String>,
    pub extra_header_prefixes: Vec<String>,
}

/// Decides who may ask what.
pub struct Access {
    reviewer: Box<dyn Reviewer>,
    clock: Box<dyn Fn() -> Duration + Send + Sync>,
    front_proxy: RwLock<FrontProxy>,
    remembered: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    tokens: BTreeMap<String, (Duration, Option<User>)>,
    verdicts: BTreeMap<(User, Asked), (Duration, bool)>,
}

/// Why somebody is not answered.
#[derive(Debug)]
pub(super) enum Refused {
    Unknown,
    Forbidden(User, Asked),
    /// It cannot be known now.
    Unanswered(String),
}

impl Asked {
    pub(super) fn of(method: &Method, path: &str) -> Self {
        let verb = method.as_str().to_lowercase();
        let rest = path.strip_prefix("/apis/external.metrics.k8s.io/v1beta1/namespaces/");
        match rest.and_then(|rest| rest.split_once('/')) {
            // What is read is no object with a name, so the API server takes it for a list.
            Some((namespace, metric)) => Self::Metric {
                namespace: namespace.to_owned(),
                metric: metric.to_owned(),
                verb: if verb == "get" {
                    "list".to_owned()
                } else {
                    verb
                },
            },
            None => Self::Path {
                path: path.to_owned(),
                verb,
            },
        }
    }
}

impl Access {
    pub fn new(
        reviewer: impl Reviewer + 'static,
        clock: impl Fn() -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self {
            reviewer: Box::new(reviewer),
            clock: Box::new(clock),
            front_proxy: RwLock::default(),
            remembered: Mutex::default(),
        }
    }

    /// How who asks is passed on from now on.
    pub fn trust(&self, front_proxy: FrontProxy) {
        let mut known = self
            .front_proxy
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *known = front_proxy;
    }

    pub(super) fn selects(
        &self,
        selector: &str,
        labels: &BTreeMap<&'static str, String>,
    ) -> Result<bool, String> {
        self.reviewer.selects(selector, labels)
    }

    /// # Errors
    /// Whoever asks may not, or it cannot be known.
    pub(super) async fn check(
        &self,
        peer: &Peer,
        headers: &HeaderMap,
        asked: &Asked,
    ) -> Result<(), Refused> {
        let user = self.who(peer, headers).await?;
        if user.groups.iter().any(|group| group == MASTERS) || self.may(&user, asked).await? {
            return Ok(());
        }
        Err(Refused::Forbidden(user, asked.clone()))
    }

    async fn who(&self, peer: &Peer, headers: &HeaderMap) -> Result<User, Refused> {
        if let Some(user) = self.passed_on(peer, headers) {
            return Ok(user);
        }
        let token = headers.get(header::AUTHORIZATION);
        let token = token.and_then(|token| token.to_str().ok()?.split_once(' '));
        let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let (_, token) = token.ok_or(Refused::Unknown)?;
        let token = token.trim();
        if let Some(known) = self.remembered(|known| fresh(known.tokens.get(token), self.now())) {
            return known.ok_or(Refused::Unknown);
        }
        let whose = self.reviewer.whose(token).await;
        let whose = whose.map_err(Refused::Unanswered)?;
        let at = self.now();
        self.remembered(|known| {
            bound(&mut known.tokens);
            known.tokens.insert(token.to_owned(), (at, whose.clone()));
        });
        whose.ok_or(Refused::Unknown)
    }

    /// Who asks, by the word of the front proxy. The connection's certificate was verified when it
    /// was made.
    fn passed_on(&self, peer: &Peer, headers: &HeaderMap) -> Option<User> {
        let known = self
            .front_proxy
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let name = peer.certified_name.as_ref()?;
        if !known.allowed_names.is_empty() && !known.allowed_names.contains(name) {
            return None;
        }
        let values = |names: &[String]| -> Vec<String> {
            let values = names.iter().flat_map(|name| headers.get_all(name.as_str()));
            let values = values.filter_map(|value| value.to_str().ok());
            values.map(str::to_owned).collect()
        };
        let first = |names: &[String]| values(names).into_iter().next();
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (header, value) in headers {
            let prefixes = known.extra_header_prefixes.iter();
            let key = prefixes
                .filter_map(|prefix| header.as_str().strip_prefix(&prefix.to_lowercase()))
                .next();
            if let (Some(key), Ok(value)) = (key, value.to_str()) {
                let key = percent_encoding::percent_decode_str(key).decode_utf8_lossy();
                let values = extra.entry(key.into_owned()).or_default();
                values.push(value.to_owned());
            }
        }
        Some(User {
            name: first(&known.username_headers).filter(|name| !name.is_empty())?,
            uid: first(&known.uid_headers).unwrap_or_default(),
            groups: with_authenticated(values(&known.group_headers)),
            extra,
        })
    }

    async fn may(&self, user: &User, asked: &Asked) -> Result<bool, Refused> {
        let of = (user.clone(), asked.clone());
        if let Some(known) = self.remembered(|known| fresh(known.verdicts.get(&of), self.now())) {
            return Ok(known);
        }
        let may = self.reviewer.may(user, asked).await;
        let may = may.map_err(Refused::Unanswered)?;
        let at = self.now();
        self.remembered(|known| {
            bound(&mut known.verdicts);
            known.verdicts.insert(of, (at, may));
        });
        Ok(may)
    }

    fn now(&self) -> Duration {
        (self.clock)()
    }

    fn remembered<T>(&self, with: impl FnOnce(&mut Remembered) -> T) -> T {
        let known = self.remembered.lock();
        with(&mut known.unwrap_or_else(PoisonError::into_inner))
    }
}

fn with_authenticated(mut groups: Vec<String>) -> Vec<String> {
    if !groups.iter().any(|group| group == AUTHENTICATED) {
        groups.push(AUTHENTICATED.to_owned());
    }
    groups
}

fn fresh<T: Clone>(known: Option<&(Duration, T)>, now: Duration) -> Option<T> {
    let (at, word) = known?;
    (now.saturating_sub(*at) < REMEMBERED).then(|| word.clone())
}

fn bound<K: Ord, V>(known: &mut BTreeMap<K, V>) {
    if known.len() >= MOST_REMEMBERED {
        known.clear();
    }
}

impl Refused {
    pub(super) fn told(self) -> (StatusCode, String) {
        match self {
            Self::Unknown => (
                StatusCode::UNAUTHORIZED,
                "neither the API server's certificate nor a bearer token that it knows".to_owned(),
            ),
            Self::Forbidden(user, asked) => {
                let name = user.name;
                let what = match asked {
                    Asked::Metric {
                        namespace,
                        metric,
                        verb,
                    } => format!(
                        "{verb} `{metric}` of external.metrics.k8s.io in namespace `{namespace}`"
                    ),
                    Asked::Path { path, verb } => format!("{verb} `{path}`"),
                };
                (
                    StatusCode::FORBIDDEN,
                    format!("user `{name}` may not {what}"),
                )
            }
            Self::Unanswered(why) => (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("whether this may be asked cannot be known now: {why}"),
            ),
        }
    }
}
