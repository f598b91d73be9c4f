//! What a registry asks for before it answers.

use http_auth::parse_challenges;
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// How a registry wants to be convinced.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token of the service at `realm`, for anonymous users too.
    Bearer {
        realm: String,
        service: Option<String>,
    },
    /// User and password with each request.
    Basic,
}

impl Challenge {
    /// A token before a password, where both would do; `None` where neither does.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter();
        let texts = texts.filter_map(|value| value.to_str().ok());
        let mut basic = None;
        for challenge in texts
            .filter_map(|text| parse_challenges(text).ok())
            .flatten()
        {
            if challenge.scheme.eq_ignore_ascii_case("basic") {
                basic = Some(Self::Basic);
            }
            let parameter = |name: &str| {
                let mut all = challenge.params.iter();
                let found = all.find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.to_unescaped())
            };
            if challenge.scheme.eq_ignore_ascii_case("bearer")
                && let Some(realm) = parameter("realm")
            {
                let service = parameter("service");
                return Some(Self::Bearer { realm, service });
            }
        }
        basic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&'static str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        Challenge::of(&headers)
    }

    const BEARER: &str =
        r#"Bearer realm="https://auth.example/token",service="reg.example",scope="x:y:pull,push""#;

    #[test]
    fn a_bearer_challenge_names_the_service_that_gives_tokens() {
        let wanted = || {
            Some(Challenge::Bearer {
                realm: "https://auth.example/token".to_owned(),
                service: Some("reg.example".to_owned()),
            })
        };
        assert_eq!(of(&[BEARER]), wanted());
        assert_eq!(of(&[r#"Basic realm="x""#, BEARER]), wanted());
    }

    #[test]
    fn a_basic_challenge_needs_nothing_more() {
        assert_eq!(of(&[r#"BASIC realm="x""#]), Some(Challenge::Basic));
    }

    #[test]
    fn other_challenges_are_none_that_we_can_meet() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[r#"Negotiate realm="x""#]), None);
        assert_eq!(of(&[r#"Bearer service="no realm""#]), None);
        assert_eq!(of(&["=,="]), None);
    }
}
