//! The harness's own HTTP client.

use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::certificates::Pair;

/// A client that trusts one authority alone, and asks no proxy.
pub(crate) fn client(authority_pem: &str) -> anyhow::Result<reqwest::Client> {
    Ok(builder(authority_pem)?.build()?)
}

/// The same with a certificate of its own.
pub(crate) fn client_with(authority_pem: &str, own: &Pair) -> anyhow::Result<reqwest::Client> {
    Ok(builder_with(authority_pem, own)?.build()?)
}

/// The same for answers that take as long as they take.
pub(crate) fn streaming_client(authority_pem: &str, own: &Pair) -> anyhow::Result<reqwest::Client> {
    let builder = builder_with(authority_pem, own)?;
    Ok(builder.timeout(Duration::MAX).build()?)
}

fn builder_with(authority_pem: &str, own: &Pair) -> anyhow::Result<reqwest::ClientBuilder> {
    let mut pem = fs_err::read(&own.certificate)?;
    pem.extend(fs_err::read(&own.key)?);
    let identity = reqwest::Identity::from_pem(&pem)?;
    Ok(builder(authority_pem)?.identity(identity))
}

fn builder(authority_pem: &str) -> anyhow::Result<reqwest::ClientBuilder> {
    use_ring();
    let authority = reqwest::Certificate::from_pem(authority_pem.as_bytes())?;
    Ok(reqwest::Client::builder()
        .tls_certs_only([authority])
        .no_proxy()
        .tls_info(true)
        .timeout(Duration::from_secs(10)))
}

/// The body of a successful answer.
pub(crate) async fn get(client: &reqwest::Client, url: &str) -> anyhow::Result<String> {
    let answer = client.get(url).send().await?;
    let status = answer.status();
    let body = answer.text().await.with_context(|| format!("GET {url}"))?;
    ensure!(status.is_success(), "GET {url}: {status}: {body}");
    Ok(body)
}

/// The certificate that a server shows (DER).
pub(crate) async fn shown(client: &reqwest::Client, url: &str) -> anyhow::Result<Vec<u8>> {
    let answer = client.get(url).send().await?;
    let info = answer.extensions().get::<reqwest::tls::TlsInfo>();
    let shown = info.and_then(reqwest::tls::TlsInfo::peer_certificate);
    Ok(shown.with_context(|| format!("{url} shows none"))?.to_vec())
}

/// Makes ring the cryptography of this process: of the crates that share rustls none chooses.
pub(crate) fn use_ring() {
    // Fails only where one is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
