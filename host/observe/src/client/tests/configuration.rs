//! What a configuration may say, and what is said of one that makes no sense.

use super::*;

#[track_caller]
fn refused(change: impl FnOnce(&mut PrometheusConfig)) -> String {
    let mut config = config("http://localhost:9090");
    change(&mut config);
    match Client::new(&config) {
        Ok(_) => panic!("{config:?} was taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_configuration_needs_no_more_than_the_url() {
    let read: PrometheusConfig =
        serde_json::from_str(r#"{"url": "http://prometheus:9090"}"#).unwrap();
    assert_eq!(read, config("http://prometheus:9090"));
    assert!(Client::new(&read).is_ok());
}

#[test]
fn unknown_fields_are_refused() {
    let read = serde_json::from_str::<PrometheusConfig>(r#"{"token": "secret"}"#);
    let said = read.unwrap_err().to_string();
    assert!(said.contains("unknown field `token`"), "{said}");
}

#[test]
fn urls_that_cannot_be_asked_are_refused() {
    for url in ["", "prometheus:9090", "ftp://prometheus", "http://"] {
        let said = refused(|config| config.url = url.to_owned());
        assert!(said.starts_with("`prometheus.url`"), "{said}");
    }
    let said = refused(|config| config.url = "http://user:secret@prometheus".to_owned());
    assert!(
        said.contains("`prometheus.url` holds a name or a password") && !said.contains("secret"),
        "{said}"
    );
}

#[test]
fn numbers_that_are_no_limits_are_refused() {
    let said = refused(|config| config.query_timeout_seconds = f64::NAN);
    assert!(said.contains("`prometheus.timeoutSeconds`"), "{said}");
    let said = refused(|config| config.deadline_seconds = -1.0);
    assert!(said.contains("`tickTimeoutSeconds`"), "{said}");
    let said = refused(|config| config.concurrency = 0);
    assert!(said.contains("`concurrency` must be at least 1"), "{said}");
    let said = refused(|config| config.windows.short_seconds = 0);
    assert!(said.contains("`prometheus.windowSeconds`"), "{said}");
}

#[test]
fn headers_that_http_does_not_allow_are_refused_by_name() {
    let said = refused(|config| {
        config.headers.insert("X Scope".to_owned(), "a".to_owned());
    });
    assert!(said.contains("`X Scope`"), "{said}");
    let said = refused(|config| {
        config
            .headers
            .insert("X-Scope".to_owned(), "sec\nret".to_owned());
    });
    assert!(
        said.contains("`X-Scope`") && !said.contains("ret,"),
        "{said}"
    );
}

#[test]
fn a_certificate_without_its_key_is_refused() {
    let said = refused(|config| config.client_certificate_file = Some("cert.pem".into()));
    assert!(said.contains("need each other"), "{said}");
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let said = refused(|config| config.ca_file = Some("/nowhere/ca.pem".into()));
    assert!(
        said.contains("`prometheus.caFile`") && said.contains("/nowhere/ca.pem"),
        "{said}"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    fs_err::write(&path, "no certificate").unwrap();
    let said = refused(|config| config.ca_file = Some(path.clone()));
    assert!(said.contains("has no usable PEM"), "{said}");
    let said = refused(|config| {
        config.client_certificate_file = Some(path.clone());
        config.client_key_file = Some(path.clone());
    });
    assert!(said.contains("`prometheus.clientCertFile`"), "{said}");
}

#[test]
fn values_of_headers_are_not_shown() {
    let mut config = config("http://localhost:9090");
    config
        .headers
        .insert("X-Key".to_owned(), "secret".to_owned());
    let shown = format!("{config:?}");
    assert!(
        shown.contains("X-Key") && !shown.contains("secret"),
        "{shown}"
    );
}
