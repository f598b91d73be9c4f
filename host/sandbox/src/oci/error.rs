//! Why a component cannot be had from a registry. No message has credentials in it, nor a URL that
//! a registry made up: those may carry signatures.

use std::fmt;

/// Longest part of a foreign text that a message shows, in characters.
const EXCERPT: usize = 200;

/// Why a component cannot be had from a registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OciError {
    /// The operator's own settings cannot be used.
    #[error("{field} cannot be used: {why}")]
    Configuration { field: &'static str, why: String },
    #[error(
        "`{reference}` is no reference to an artifact: {why}; write registry/repository:tag or registry/repository@sha256:…"
    )]
    BadReference { reference: String, why: String },
    /// A pull secret is not what `kubectl create secret docker-registry` makes.
    #[error("pull secret cannot be read: {why}")]
    BadCredentials { why: String },
    #[error("{registry} has no {what}")]
    NotFound { registry: String, what: String },
    #[error("{registry} refuses access to {repository}: {why}")]
    Unauthorized {
        registry: String,
        repository: String,
        why: String,
    },
    #[error("{what} has more than the {limit} bytes that {allowed_by}")]
    TooLarge {
        what: String,
        limit: u64,
        allowed_by: &'static str,
    },
    /// What is there is no policy: an image, an index, or several components.
    #[error("no policy: {found}; expected is one layer of type application/wasm")]
    WrongMediaType { found: String },
    #[error("{what} was asked for by digest {wanted}, but has {got}")]
    DigestMismatch {
        what: String,
        wanted: String,
        got: String,
    },
    #[error("manifest {manifest} is not signed by the operator's key: {why}")]
    SignatureInvalid { manifest: String, why: String },
    /// No answer, or one that says that there will be one later.
    #[error("{registry} cannot be reached: {why}")]
    Unreachable { registry: String, why: String },
    /// An answer that no registry should give.
    #[error("{registry} does not answer as a registry: {why}")]
    InvalidAnswer { registry: String, why: String },
    /// The registry itself failed, and so had all of its mirrors.
    #[error("{origin} ({})", list(.mirrors))]
    Everywhere {
        origin: Box<OciError>,
        /// Each with its name, in the order in which they were asked.
        mirrors: Vec<(String, OciError)>,
    },
}

impl OciError {
    /// Closed vocabulary for a metric's label and a status condition's reason.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Configuration { .. } => "Configuration",
            Self::BadReference { .. } => "BadReference",
            Self::BadCredentials { .. } => "BadCredentials",
            Self::NotFound { .. } => "NotFound",
            Self::Unauthorized { .. } => "Unauthorized",
            Self::TooLarge { .. } => "TooLarge",
            Self::WrongMediaType { .. } => "WrongMediaType",
            Self::DigestMismatch { .. } => "DigestMismatch",
            Self::SignatureInvalid { .. } => "SignatureInvalid",
            Self::Unreachable { .. } => "Unreachable",
            Self::InvalidAnswer { .. } => "InvalidAnswer",
            Self::Everywhere { origin, .. } => origin.reason(),
        }
    }

    /// Whether the same request may succeed soon though nobody changes anything. All others may
    /// after somebody did: pushed, signed, or gave access.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::InvalidAnswer { .. } => true,
            Self::Everywhere { origin, mirrors } => {
                origin.is_retryable() || mirrors.iter().any(|(_, error)| error.is_retryable())
            }
            Self::Configuration { .. }
            | Self::BadReference { .. }
            | Self::BadCredentials { .. }
            | Self::NotFound { .. }
            | Self::Unauthorized { .. }
            | Self::TooLarge { .. }
            | Self::WrongMediaType { .. }
            | Self::DigestMismatch { .. }
            | Self::SignatureInvalid { .. } => false,
        }
    }

    /// This error of the registry itself, after those of its mirrors.
    pub(super) fn after(self, mirrors: Vec<(String, Self)>) -> Self {
        if mirrors.is_empty() {
            return self;
        }
        Self::Everywhere {
            origin: Box::new(self),
            mirrors,
        }
    }
}

fn list(mirrors: &[(String, OciError)]) -> String {
    let each = mirrors
        .iter()
        .map(|(mirror, error)| format!("mirror {mirror}: {error}"));
    each.collect::<Vec<_>>().join("; ")
}

/// A foreign text as a message shows it: short, on one line.
pub(super) fn excerpt(text: impl fmt::Display) -> String {
    let text = text.to_string();
    let mut short: String = text
        .chars()
        .take(EXCERPT)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(EXCERPT).is_some() {
        short.push('…');
    }
    short
}

/// What an error came from: each cause once, without the first words where they say only that there
/// was a request.
pub(super) fn because(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = error.source();
    while let Some(source) = next {
        let said = source.to_string();
        if !text.contains(&said) {
            let separator = if text.is_empty() { "" } else { ": " };
            text = format!("{text}{separator}{said}");
        }
        next = source.source();
    }
    if text.is_empty() {
        error.to_string()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unreachable(registry: &str) -> OciError {
        OciError::Unreachable {
            registry: registry.to_owned(),
            why: "connection refused".to_owned(),
        }
    }

    fn not_found(registry: &str) -> OciError {
        OciError::NotFound {
            registry: registry.to_owned(),
            what: "policies/a:1".to_owned(),
        }
    }

    #[test]
    fn what_failed_everywhere_has_the_registrys_reason_and_every_message() {
        let error = not_found("ghcr.io").after(vec![("near".to_owned(), unreachable("near"))]);
        assert_eq!(error.reason(), "NotFound");
        assert_eq!(
            error.to_string(),
            "ghcr.io has no policies/a:1 (mirror near: near cannot be reached: connection refused)"
        );
    }

    #[test]
    fn one_place_that_may_answer_later_is_worth_a_retry() {
        assert!(unreachable("a").is_retryable());
        assert!(!not_found("a").is_retryable());
        let mirrors = vec![("b".to_owned(), unreachable("b"))];
        assert!(not_found("a").after(mirrors).is_retryable());
        let mirrors = vec![("b".to_owned(), not_found("b"))];
        assert!(!not_found("a").after(mirrors).is_retryable());
    }

    #[test]
    fn without_mirrors_the_error_is_the_registrys() {
        assert_eq!(not_found("a").after(Vec::new()), not_found("a"));
    }

    #[test]
    fn foreign_texts_are_cut_and_stay_on_one_line() {
        assert_eq!(excerpt("a\nb"), "a b");
        assert_eq!(excerpt("x".repeat(EXCERPT)).chars().count(), EXCERPT);
        assert_eq!(excerpt("x".repeat(9999)).chars().count(), EXCERPT + 1);
    }
}
