//! Which settings are refused. What is pulled from a real registry is in the end-to-end tests.

use super::*;

#[track_caller]
fn refused(config: OciConfig) -> String {
    let error = Puller::new(config).unwrap_err();
    assert_eq!(error.reason(), "Configuration");
    error.to_string()
}

fn mirrored(registry: &str, mirror: &str) -> OciConfig {
    OciConfig {
        mirrors: BTreeMap::from([(registry.to_owned(), vec![mirror.to_owned()])]),
        ..OciConfig::default()
    }
}

#[test]
fn the_defaults_can_be_used() {
    Puller::new(OciConfig::default()).unwrap();
    Puller::new(mirrored("docker.io", "near:5000/hub")).unwrap();
}

#[test]
fn registries_are_hosts() {
    let error = refused(mirrored("https://ghcr.io", "near:5000"));
    assert_eq!(
        error,
        "mirrors cannot be used: `https://ghcr.io` is no registry: write its host, without a scheme"
    );
    refused(mirrored("ghcr.io/team", "near:5000"));
    assert!(refused(mirrored("ghcr.io", "http://near:5000")).contains("`http://near:5000`"));
    let error = refused(OciConfig {
        insecure_registries: BTreeSet::from(["near:5000/team".to_owned()]),
        ..OciConfig::default()
    });
    assert!(error.starts_with("insecureRegistries "), "{error}");
}

#[test]
fn a_timeout_is_a_positive_number() {
    for timeout_seconds in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let config = OciConfig {
            timeout_seconds,
            ..OciConfig::default()
        };
        assert!(refused(config).starts_with("timeoutSeconds "));
    }
}

#[test]
fn a_file_of_authorities_must_have_some() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ca.pem");
    let config = OciConfig {
        ca_file: Some(path.clone()),
        ..OciConfig::default()
    };
    assert!(refused(config.clone()).contains("ca.pem"));
    fs_err::write(&path, "no PEM").unwrap();
    assert!(refused(config.clone()).contains("it has no certificate"));
    let key = rcgen::KeyPair::generate().unwrap();
    let of = rcgen::CertificateParams::default();
    fs_err::write(&path, of.self_signed(&key).unwrap().pem()).unwrap();
    Puller::new(config).unwrap();
}

#[test]
fn a_public_key_must_be_one() {
    let config = OciConfig {
        public_key: Some("no PEM".to_owned()),
        ..OciConfig::default()
    };
    assert!(refused(config).starts_with("publicKey "));
}
