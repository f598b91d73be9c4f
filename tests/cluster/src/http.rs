//! The harness's own HTTP client.

use std::time::Duration;

use anyhow::{Context as _, ensure};

/// A client that trusts one authority alone, and asks no proxy.
pub(crate) fn client(authority_pem: &str) -> anyhow::Result<reqwest::Client> {
    use_ring();
    let authority = reqwest::Certificate::from_pem(authority_pem.as_bytes())?;
    Ok(reqwest::Client::builder()
        .tls_certs_only([authority])
        .no_proxy()
        .timeout(Duration::from_secs(10))
        .build()?)
}

/// The body of a successful answer.
pub(crate) async fn get(client: &reqwest::Client, url: &str) -> anyhow::Result<String> {
    let answer = client.get(url).send().await?;
    let status = answer.status();
    let body = answer.text().await.with_context(|| format!("GET {url}"))?;
    ensure!(status.is_success(), "GET {url}: {status}: {body}");
    Ok(body)
}

/// Makes ring the cryptography of this process: of the crates that share rustls none chooses.
pub(crate) fn use_ring() {
    // Fails only where one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
