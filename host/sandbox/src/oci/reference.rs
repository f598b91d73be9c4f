//! What is asked of which registry: references as users write them, digests, and mirrors.

use std::collections::BTreeMap;

use oci_client::{ParseError, Reference};
use sha2::{Digest as _, Sha256};
use trimtab_core::policies::Digest;

use super::error::{OciError, excerpt};

/// An artifact by name, and by the digest of its manifest where that is pinned.
#[derive(Debug)]
pub(super) struct Asked {
    reference: Reference,
    /// Of the manifest.
    pub(super) pinned: Option<Digest>,
}

/// A repository of one registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Host, and port where it is not the scheme's.
    pub(super) registry: String,
    pub(super) repository: String,
}

impl Asked {
    /// Reads a reference. Without a registry it means Docker Hub's, without tag and digest the tag
    /// `latest`, as for images.
    pub(super) fn parse(text: &str) -> Result<Self, OciError> {
        let bad = |why: String| OciError::BadReference {
            reference: excerpt(text),
            why,
        };
        let reference = Reference::try_from(text).map_err(|error| bad(explain(&error)))?;
        let pinned = reference.digest().map(|digest| {
            parse_digest(digest).ok_or_else(|| bad("a digest is sha256: and 64 hex digits".into()))
        });
        Ok(Self {
            pinned: pinned.transpose()?,
            reference,
        })
    }

    /// What the manifest is asked for by: the digest where there is one, so that a tag that moved
    /// does not matter.
    pub(super) fn version(&self) -> &str {
        let tag = self.reference.tag().unwrap_or_default();
        self.pinned.as_ref().map_or(tag, |pinned| &pinned.0)
    }

    /// The registry itself.
    pub(super) fn origin(&self) -> Place {
        Place {
            registry: self.reference.resolve_registry().to_owned(),
            repository: self.reference.repository().to_owned(),
        }
    }

    /// Where else it may be, in order.
    pub(super) fn mirrors(&self, mirrors: &BTreeMap<String, Vec<String>>) -> Vec<Place> {
        let known = mirrors.get(self.reference.registry());
        let known = known.into_iter().flatten();
        let repository = self.reference.repository();
        known
            .map(|mirror| match mirror.split_once('/') {
                None => Place {
                    registry: mirror.clone(),
                    repository: repository.to_owned(),
                },
                Some((registry, prefix)) => Place {
                    registry: registry.to_owned(),
                    repository: format!("{prefix}/{repository}"),
                },
            })
            .collect()
    }
}

/// Whether this is a registry's host, with a path of repositories below it where `/` follows.
pub(super) fn is_registry(text: &str) -> bool {
    let host = text.split('/').next().unwrap_or_default();
    let probe = Reference::try_from(format!("{text}/policy"));
    probe.is_ok_and(|probe| probe.registry() == host)
}

fn explain(error: &ParseError) -> String {
    match error {
        ParseError::DigestInvalidLength | ParseError::DigestUnsupported => {
            "a digest is sha256: and 64 hex digits".to_owned()
        }
        ParseError::NameContainsUppercase => "repositories are in lower case".to_owned(),
        ParseError::NameEmpty => "it is empty".to_owned(),
        ParseError::DigestInvalidFormat
        | ParseError::NameTooLong
        | ParseError::ReferenceInvalidFormat
        | ParseError::TagInvalidFormat => error.to_string(),
    }
}

/// SHA-256 as the OCI and this project write it, or `None`. Foreign digests become paths of URLs:
/// nothing else may pass.
pub(super) fn parse_digest(text: &str) -> Option<Digest> {
    let hex = text.strip_prefix("sha256:")?;
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (hex.len() == 64 && hex.bytes().all(is_hex)).then(|| Digest(text.to_owned()))
}

pub(super) fn digest_of(bytes: &[u8]) -> Digest {
    Digest(format!("sha256:{}", hex::encode(Sha256::digest(bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn place(registry: &str, repository: &str) -> Place {
        Place {
            registry: registry.to_owned(),
            repository: repository.to_owned(),
        }
    }

    #[test]
    fn a_reference_names_registry_repository_and_version() {
        let by_digest = format!("ghcr.io/team/cost@{DIGEST}");
        let by_both = format!("ghcr.io/team/cost:1.2@{DIGEST}");
        for (text, registry, repository, version) in [
            ("ghcr.io/team/cost:1.2", "ghcr.io", "team/cost", "1.2"),
            ("localhost:5000/cost:v1", "localhost:5000", "cost", "v1"),
            ("ghcr.io/team/cost", "ghcr.io", "team/cost", "latest"),
            ("team/cost:1", "index.docker.io", "team/cost", "1"),
            (&by_digest, "ghcr.io", "team/cost", DIGEST),
            (&by_both, "ghcr.io", "team/cost", DIGEST),
        ] {
            let asked = Asked::parse(text).unwrap();
            assert_eq!(asked.origin(), place(registry, repository), "{text}");
            assert_eq!(asked.version(), version, "{text}");
            assert_eq!(asked.pinned.is_some(), version == DIGEST, "{text}");
        }
    }

    #[test]
    fn what_is_no_reference_is_refused_with_the_right_form() {
        for text in [
            "",
            "https://ghcr.io/team/cost:1",
            "oci://ghcr.io/team/cost:1",
            "ghcr.io/Team/Cost:1",
            "ghcr.io/team/cost:a b",
            "ghcr.io/team/../cost:1",
            "ghcr.io/team/cost@sha256:abcd",
            &format!("ghcr.io/team/cost@{}", DIGEST.to_uppercase()),
            &format!("ghcr.io/team/cost@sha512:{}", "0".repeat(128)),
            &format!("ghcr.io/team/cost@sha256:{}", "E".repeat(64)),
        ] {
            let error = Asked::parse(text).unwrap_err();
            assert_eq!(error.reason(), "BadReference", "{text}");
            assert!(error.to_string().contains("registry/repository:tag"));
        }
    }

    #[test]
    fn mirrors_come_in_order_and_may_have_a_path() {
        let mirrors = ["near:5000".to_owned(), "harbor/ghcr/proxy".to_owned()];
        let mirrors = BTreeMap::from([("ghcr.io".to_owned(), mirrors.to_vec())]);
        let asked = Asked::parse("ghcr.io/team/cost:1").unwrap();
        let wanted = [
            place("near:5000", "team/cost"),
            place("harbor", "ghcr/proxy/team/cost"),
        ];
        assert_eq!(asked.mirrors(&mirrors), wanted);
        let other = Asked::parse("quay.io/team/cost:1").unwrap();
        assert_eq!(other.mirrors(&mirrors), []);
    }

    #[test]
    fn docker_hub_is_mirrored_under_its_common_name() {
        let mirrors = BTreeMap::from([("docker.io".to_owned(), vec!["near:5000".to_owned()])]);
        let asked = Asked::parse("team/cost:1").unwrap();
        assert_eq!(asked.mirrors(&mirrors), [place("near:5000", "team/cost")]);
    }

    #[test]
    fn a_registry_is_a_host_and_no_url() {
        for good in ["ghcr.io", "localhost:5000", "127.0.0.1:5000", "a.b/c/d"] {
            assert!(is_registry(good), "{good}");
        }
        for bad in ["", "https://ghcr.io", "ghcr", "ghcr.io/", "a b.c", "a.b/C"] {
            assert!(!is_registry(bad), "{bad}");
        }
    }

    #[test]
    fn only_lower_case_sha256_is_a_digest() {
        assert_eq!(parse_digest(DIGEST), Some(Digest(DIGEST.to_owned())));
        assert_eq!(digest_of(b"").0, DIGEST);
        for bad in ["sha256:", "sha256:../../v2/", &DIGEST.to_uppercase()] {
            assert_eq!(parse_digest(bad), None, "{bad}");
        }
    }
}
