//! Registries that answer what no registry should: they are believed in nothing and read no
//! further than the limits.

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::http::header::{LOCATION, WWW_AUTHENTICATE};
use axum::http::{Response, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// An HTTP server on loopback, until it is dropped.
pub(super) struct Server {
    host: String,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(super) async fn start(router: Router) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let host = listener.local_addr()?.to_string();
        let serving = tokio::spawn(async { axum::serve(listener, router).await });
        Ok(Self { host, serving })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// What a registry answers that gives these to whoever asks for a manifest and for a blob.
async fn pulled(
    version: &str,
    manifest: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static,
    blob: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static,
) -> anyhow::Result<Result<Pulled, OciError>> {
    let answer = async move |uri: Uri| {
        if uri.path().contains("/manifests/") {
            manifest()
        } else {
            blob()
        }
    };
    let server = Server::start(Router::new().fallback(answer)).await?;
    let reference = format!("{}/team/cost{version}", server.host());
    Ok(pull(&plainly(&[server.host()]), &reference).await)
}

fn endless() -> Response<Body> {
    let chunks = futures::stream::repeat_with(|| Ok::<_, Infallible>(vec![b' '; 1 << 16]));
    Response::new(Body::from_stream(chunks))
}

fn manifest() -> Value {
    let layer = json!({"mediaType": WASM, "digest": DIGEST, "size": 7});
    let config = json!({"mediaType": LAYOUT, "digest": DIGEST, "size": 2});
    json!({"schemaVersion": 2, "config": config, "layers": [layer]})
}

fn honest() -> Response<Body> {
    Response::new(Body::from(manifest().to_string()))
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

#[tokio::test]
async fn a_manifest_without_end_is_too_large() -> anyhow::Result<()> {
    let pulled = pulled(":1", endless, endless).await?;
    assert_refused(pulled, "TooLarge", "more than the 4194304 bytes");
    Ok(())
}

#[tokio::test]
async fn a_component_beyond_its_size_is_too_large() -> anyhow::Result<()> {
    let pulled = pulled(":1", honest, endless).await?;
    assert_refused(pulled, "TooLarge", "the 7 bytes that its manifest says");
    Ok(())
}

#[tokio::test]
async fn a_component_that_ends_early_is_another() -> anyhow::Result<()> {
    let short = || Response::new(Body::from("short"));
    let pulled = pulled(":1", honest, short).await?;
    assert_refused(pulled, "DigestMismatch", DIGEST);
    Ok(())
}

#[tokio::test]
async fn a_manifest_has_the_digest_that_it_is_asked_for_by() -> anyhow::Result<()> {
    let pulled = pulled(&format!("@{DIGEST}"), honest, endless).await?;
    assert_refused(pulled, "DigestMismatch", DIGEST);
    Ok(())
}

#[tokio::test]
async fn a_manifest_has_the_digest_that_its_registry_says() -> anyhow::Result<()> {
    let other = || {
        let mut response = honest();
        let digest = DIGEST.parse().unwrap();
        let headers = response.headers_mut();
        headers.insert("docker-content-digest", digest);
        response
    };
    let pulled = pulled(":1", other, endless).await?;
    assert_refused(pulled, "DigestMismatch", DIGEST);
    Ok(())
}

#[tokio::test]
async fn a_token_without_end_is_too_large() -> anyhow::Result<()> {
    let tokens = Server::start(Router::new().fallback(async || endless())).await?;
    let challenge = format!("Bearer realm=\"http://{}\"", tokens.host());
    let asks = move || {
        let mut response = status(StatusCode::UNAUTHORIZED);
        let headers = response.headers_mut();
        headers.insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
        response
    };
    let pulled = pulled(":1", asks, endless).await?;
    assert_refused(pulled, "TooLarge", "its token has more than");
    Ok(())
}

#[tokio::test]
async fn redirects_come_to_an_end() -> anyhow::Result<()> {
    let again = || {
        let mut response = status(StatusCode::TEMPORARY_REDIRECT);
        let headers = response.headers_mut();
        headers.insert(LOCATION, "/v2/team/cost/manifests/1".parse().unwrap());
        response
    };
    let pulled = pulled(":1", again, endless).await?;
    assert_refused(pulled, "InvalidAnswer", "redirects too often");
    Ok(())
}

#[tokio::test]
async fn a_status_says_whether_another_try_is_worth_it() -> anyhow::Result<()> {
    for (code, reason, is_retryable) in [
        (StatusCode::SERVICE_UNAVAILABLE, "Unreachable", true),
        (StatusCode::TOO_MANY_REQUESTS, "Unreachable", true),
        (StatusCode::IM_A_TEAPOT, "InvalidAnswer", true),
        (StatusCode::FORBIDDEN, "Unauthorized", false),
        (StatusCode::UNAUTHORIZED, "Unauthorized", false),
        (StatusCode::NOT_FOUND, "NotFound", false),
    ] {
        let answer = move || status(code);
        let error = pulled(":1", answer, endless).await?.unwrap_err();
        assert_eq!(error.reason(), reason, "{error}");
        assert_eq!(error.is_retryable(), is_retryable, "{error}");
    }
    Ok(())
}
