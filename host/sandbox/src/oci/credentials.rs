//! Users and passwords of registries, from pull secrets of Kubernetes.
//!
//! Keys are matched as the kubelet does, in a simpler form: no wildcards, paths by whole segments,
//! and of several that match the longest alone is tried. Identity tokens are not supported.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::error::{OciError, excerpt};
use super::reference::Place;

/// Names of Docker Hub, which `docker login` writes in the last form.
const DOCKER_HUB: [&str; 3] = ["docker.io", "registry-1.docker.io", "index.docker.io"];

/// A `.dockerconfigjson`. Its `Debug` shows no password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DockerConfig {
    /// By host, and path where the key has one; without scheme, version and trailing slash.
    by_key: BTreeMap<String, Credentials>,
}

/// A user of one registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

#[derive(Deserialize)]
struct File {
    auths: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
}

impl DockerConfig {
    /// Reads the value of the secret's key `.dockerconfigjson`. Entries without user and password
    /// are left out: credential helpers leave such.
    ///
    /// # Errors
    /// [`OciError::BadCredentials`] where it is no such file. The message has nothing of its
    /// content but a registry's name.
    pub fn parse(json: &[u8]) -> Result<Self, OciError> {
        // The error of JSON may show a value.
        let file: File = serde_json::from_slice(json).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            bad(format!(
                "it is not JSON with `auths` (line {line}, column {column})"
            ))
        })?;
        let mut by_key = BTreeMap::new();
        for (key, entry) in &file.auths {
            let read = entry.credentials();
            let read = read.map_err(|why| bad(format!("`auths` of {}: {why}", excerpt(key))))?;
            if let Some(credentials) = read {
                by_key.insert(normal(key), credentials);
            }
        }
        Ok(Self { by_key })
    }

    fn best(&self, place: &Place) -> Option<(&str, &Credentials)> {
        let host = common(&place.registry);
        let whole = format!("{host}/{}", place.repository);
        let matching = self.by_key.iter().filter(|(key, _)| {
            let rest = whole.strip_prefix(key.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let matching = matching.map(|(key, credentials)| (key.as_str(), credentials));
        matching.max_by_key(|(key, _)| key.len())
    }
}

impl Entry {
    fn credentials(&self) -> Result<Option<Credentials>, &'static str> {
        let Some(auth) = self.auth.as_deref().filter(|auth| !auth.is_empty()) else {
            let both = self.username.clone().zip(self.password.clone());
            let both = both.filter(|(user, _)| !user.is_empty());
            return Ok(both.map(|(user, password)| Credentials { user, password }));
        };
        let decoded = STANDARD.decode(auth).map_err(|_| "`auth` is not base64")?;
        let decoded = String::from_utf8(decoded).map_err(|_| "`auth` is not text")?;
        let (user, password) = decoded.split_once(':').ok_or("`auth` has no colon")?;
        Ok(Some(Credentials {
            user: user.to_owned(),
            // Docker pads it with zeros.
            password: password.trim_end_matches('\0').to_owned(),
        }))
    }
}

/// Those whose key is the longest that leads to the place; of equals, those of the first secret.
pub(super) fn find<'c>(secrets: &'c [DockerConfig], place: &Place) -> Option<&'c Credentials> {
    let best = secrets.iter().rev().filter_map(|secret| secret.best(place));
    let best = best.max_by_key(|(key, _)| key.len());
    best.map(|(_, credentials)| credentials)
}

fn normal(key: &str) -> String {
    let key = key.strip_prefix("https://").unwrap_or(key);
    let key = key.strip_prefix("http://").unwrap_or(key);
    let key = key.trim_end_matches('/');
    let (host, path) = key.split_once('/').unwrap_or((key, ""));
    let path = match path.split_once('/') {
        Some(("v1" | "v2", rest)) => rest,
        None if matches!(path, "v1" | "v2") => "",
        Some(_) | None => path,
    };
    let host = common(host);
    if path.is_empty() {
        host.to_owned()
    } else {
        format!("{host}/{path}")
    }
}

fn common(host: &str) -> &str {
    if DOCKER_HUB.contains(&host) {
        "docker.io"
    } else {
        host
    }
}

fn bad(why: String) -> OciError {
    OciError::BadCredentials { why }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn config(auths: &serde_json::Value) -> DockerConfig {
        DockerConfig::parse(json!({ "auths": auths }).to_string().as_bytes()).unwrap()
    }

    #[track_caller]
    fn user_of(secrets: &[DockerConfig], registry: &str, repository: &str) -> Option<String> {
        let place = Place {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
        };
        find(secrets, &place).map(|found| found.user.clone())
    }

    #[test]
    fn both_forms_of_an_entry_are_read() {
        let auth = STANDARD.encode("ann:pass:word");
        let secret = config(&json!({
            "a.example": {"auth": auth},
            "b.example": {"username": "bob", "password": "secret"},
            "c.example": {},
        }));
        let found = secret.by_key.get("a.example").unwrap();
        assert_eq!((&*found.user, &*found.password), ("ann", "pass:word"));
        let found = secret.by_key.get("b.example").unwrap();
        assert_eq!((&*found.user, &*found.password), ("bob", "secret"));
        assert_eq!(secret.by_key.len(), 2);
    }

    #[test]
    fn keys_may_have_a_scheme_and_a_version() {
        for key in [
            "reg.example:5000",
            "https://reg.example:5000",
            "http://reg.example:5000/",
            "https://reg.example:5000/v1/",
            "https://reg.example:5000/v2",
        ] {
            let secrets = [config(&json!({key: {"username": "u", "password": "p"}}))];
            let user = user_of(&secrets, "reg.example:5000", "team/cost");
            assert_eq!(user.as_deref(), Some("u"), "{key}");
            assert_eq!(user_of(&secrets, "reg.example", "team/cost"), None, "{key}");
        }
    }

    #[test]
    fn docker_hub_has_several_names() {
        let key = "https://index.docker.io/v1/";
        let secrets = [config(&json!({key: {"username": "u", "password": "p"}}))];
        let user = user_of(&secrets, "index.docker.io", "team/cost");
        assert_eq!(user.as_deref(), Some("u"));
    }

    #[test]
    fn the_longest_key_wins_and_segments_are_whole() {
        let of = |user: &str| json!({"username": user, "password": "p"});
        let host = config(&json!({"reg.example": of("all")}));
        let team = config(&json!({"reg.example/team": of("team"), "reg.example": of("late")}));
        let secrets = [host, team];
        for (repository, user) in [
            ("team/cost", "team"),
            ("team", "team"),
            ("teams/cost", "all"),
            ("x", "all"),
        ] {
            let found = user_of(&secrets, "reg.example", repository);
            assert_eq!(found.as_deref(), Some(user), "{repository}");
        }
        assert_eq!(user_of(&secrets, "evil-reg.example", "team/cost"), None);
        assert_eq!(user_of(&secrets, "reg.example.evil", "team/cost"), None);
    }

    #[test]
    fn neither_debug_nor_errors_show_what_is_secret() {
        let auth = STANDARD.encode("ann:hunter2");
        let secret = config(&json!({"a.example": {"auth": auth}}));
        let shown = format!("{secret:?}");
        assert!(shown.contains("a.example"), "{shown}");
        for secret in ["hunter2", "ann", &auth] {
            assert!(!shown.contains(secret), "{shown}");
        }
        for text in [
            r#"{"auths": {"a.example": {"auth": "hunter2!"}}}"#,
            r#"{"auths": {"a.example": {"auth": "aHVudGVyMg=="}}}"#,
            r#"{"auths": {"a.example": "hunter2"}}"#,
            r#"{"auths": "hunter2"}"#,
            r#"{"hunter2": {}}"#,
            "hunter2",
        ] {
            let error = DockerConfig::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.reason(), "BadCredentials");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
