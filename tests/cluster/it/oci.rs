//! Policies are pulled from a real registry: by tag and digest, within limits, from mirrors first.

mod access;
mod lies;
mod signatures;

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;

use oci_client::client::ImageLayer;
use trimtab_cluster_tests::ports::free_port;
use trimtab_cluster_tests::{Registry, RegistryOptions};
use trimtab_core::policies::Digest;
use trimtab_sandbox::{DockerConfig, OciConfig, OciError, PullRequest, Pulled, Puller};

const LAYOUT: &str = "application/vnd.wasm.config.v0+json";
const WASM: &str = "application/wasm";

/// What a puller does not look into.
const COMPONENT: &[u8] = b"a component";

/// An artifact that was pushed.
struct Pushed {
    manifest: String,
    component: Digest,
}

impl Pushed {
    fn fetched(&self, bytes: &[u8]) -> Pulled {
        Pulled::Fetched {
            bytes: bytes.to_vec(),
            digest: self.component.clone(),
            manifest: self.manifest.clone(),
        }
    }
}

async fn push(registry: &Registry, name: &str, component: &[u8]) -> anyhow::Result<Pushed> {
    let layer = ImageLayer::new(component.to_vec(), WASM.to_owned(), None);
    let component = Digest(layer.sha256_digest());
    let manifest = registry.push(name, LAYOUT, &[layer]).await?;
    Ok(Pushed {
        manifest,
        component,
    })
}

/// Asks these registries by plain HTTP.
fn plainly(hosts: &[&str]) -> OciConfig {
    OciConfig {
        insecure_registries: hosts.iter().map(|host| (*host).to_owned()).collect(),
        ..OciConfig::default()
    }
}

async fn pull(config: &OciConfig, reference: &str) -> Result<Pulled, OciError> {
    pull_with(config, reference, &[]).await
}

async fn pull_with(
    config: &OciConfig,
    reference: &str,
    credentials: &[DockerConfig],
) -> Result<Pulled, OciError> {
    let request = PullRequest {
        reference: reference.to_owned(),
        credentials: credentials.to_vec(),
    };
    Puller::new(config.clone())?.pull(&request, None).await
}

#[track_caller]
fn assert_refused(pulled: Result<Pulled, OciError>, reason: &str, says: &str) {
    let told = pulled.map_err(|error| (error.reason(), error.to_string()));
    let is_so = matches!(&told, Err((is, text)) if *is == reason && text.contains(says));
    assert!(is_so, "{told:?} is not {reason} with `{says}`");
}

#[tokio::test]
async fn a_tag_that_moves_leads_to_another_component() -> anyhow::Result<()> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let puller = Puller::new(plainly(&[registry.host()]))?;
    let request = PullRequest {
        reference: format!("{}/team/cost:1", registry.host()),
        credentials: Vec::new(),
    };
    let first = push(&registry, "team/cost:1", COMPONENT).await?;
    let pulled = puller.pull(&request, None).await?;
    assert_eq!(pulled, first.fetched(COMPONENT));
    let second = push(&registry, "team/cost:1", b"another").await?;
    let pulled = puller.pull(&request, Some(&first.component)).await?;
    assert_eq!(pulled, second.fetched(b"another"));
    Ok(())
}

#[tokio::test]
async fn a_component_that_is_known_is_not_downloaded() -> anyhow::Result<()> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let pushed = push(&registry, "team/cost:1", COMPONENT).await?;
    // Whoever downloads it notices.
    registry.damage(&pushed.component.0)?;
    let puller = Puller::new(plainly(&[registry.host()]))?;
    let request = PullRequest {
        reference: format!("{}/team/cost:1", registry.host()),
        credentials: Vec::new(),
    };
    let pulled = puller.pull(&request, Some(&pushed.component)).await?;
    let manifest = pushed.manifest;
    assert_eq!(pulled, Pulled::Unchanged { manifest });
    Ok(())
}

#[tokio::test]
async fn a_digest_stays_where_the_tag_moves() -> anyhow::Result<()> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let (host, config) = (registry.host(), plainly(&[registry.host()]));
    let pinned = push(&registry, "team/cost:1", COMPONENT).await?;
    push(&registry, "team/cost:1", b"another").await?;
    for tag in ["", ":1", ":absent"] {
        let reference = format!("{host}/team/cost{tag}@{}", pinned.manifest);
        let pulled = pull(&config, &reference).await?;
        assert_eq!(pulled, pinned.fetched(COMPONENT), "{reference}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_not_there_is_not_found() -> anyhow::Result<()> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let (host, config) = (registry.host(), plainly(&[registry.host()]));
    push(&registry, "team/cost:1", COMPONENT).await?;
    let nothing = format!("team/cost@sha256:{}", "0".repeat(64));
    for name in ["team/cost:2", "team/other:1", &nothing] {
        let pulled = pull(&config, &format!("{host}/{name}")).await;
        assert_refused(pulled, "NotFound", &format!("{host} has no {name}"));
    }
    Ok(())
}

#[tokio::test]
async fn an_image_is_no_policy() -> anyhow::Result<()> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let layer = ImageLayer::oci_v1_gzip(COMPONENT.to_vec(), None);
    let config = "application/vnd.oci.image.config.v1+json";
    registry.push("team/image:1", config, &[layer]).await?;
    let reference = format!("{}/team/image:1", registry.host());
    let pulled = pull(&plainly(&[registry.host()]), &reference).await;
    assert_refused(pulled, "WrongMediaType", "image.layer.v1.tar+gzip");
    Ok(())
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_it_is_downloaded() -> anyhow::Result<()> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let reference = format!("{}/team/cost:1", registry.host());
    let mut config = plainly(&[registry.host()]);
    let pushed = push(&registry, "team/cost:1", COMPONENT).await?;
    config.max_bytes = COMPONENT.len() as u64;
    assert_eq!(pull(&config, &reference).await?, pushed.fetched(COMPONENT));
    // Whoever downloads it notices.
    registry.damage(&pushed.component.0)?;
    config.max_bytes -= 1;
    let pulled = pull(&config, &reference).await;
    assert_refused(pulled, "TooLarge", "of 11 bytes, has more than the 10");
    Ok(())
}

#[tokio::test]
async fn a_damaged_component_is_refused() -> anyhow::Result<()> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let pushed = push(&registry, "team/cost:1", COMPONENT).await?;
    registry.damage(&pushed.component.0)?;
    let reference = format!("{}/team/cost:1", registry.host());
    let pulled = pull(&plainly(&[registry.host()]), &reference).await;
    assert_refused(pulled, "DigestMismatch", &pushed.component.0);
    Ok(())
}

#[tokio::test]
async fn a_registry_that_is_down_is_worth_a_retry() -> anyhow::Result<()> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let pushed = push(&registry, "team/cost:1", COMPONENT).await?;
    let reference = format!("{}/team/cost:1", registry.host());
    let config = plainly(&[registry.host()]);
    registry.kill().await?;
    let error = pull(&config, &reference).await.unwrap_err();
    assert_eq!(error.reason(), "Unreachable");
    assert!(error.is_retryable());
    assert!(error.to_string().contains("Connection refused"), "{error}");
    registry.restart().await?;
    assert_eq!(pull(&config, &reference).await?, pushed.fetched(COMPONENT));
    Ok(())
}

#[tokio::test]
async fn a_registry_that_is_silent_is_given_up() -> anyhow::Result<()> {
    // The kernel accepts for it.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let host = listener.local_addr()?.to_string();
    let config = OciConfig {
        timeout_seconds: 0.1,
        ..plainly(&[&host])
    };
    let pulled = pull(&config, &format!("{host}/team/cost:1")).await;
    assert_refused(pulled, "Unreachable", "it was not done in 0.1 s");
    Ok(())
}

#[tokio::test]
async fn mirrors_are_asked_before_the_registry() -> anyhow::Result<()> {
    let empty = Registry::start(RegistryOptions::default()).await?;
    let mirror = Registry::start(RegistryOptions::default()).await?;
    let origin = Registry::start(RegistryOptions::default()).await?;
    let near = push(&mirror, "proxy/team/cost:1", b"of the mirror").await?;
    let far = push(&origin, "team/cost:1", b"of the origin").await?;
    let mirrors = vec![empty.host().to_owned(), format!("{}/proxy", mirror.host())];
    let config = OciConfig {
        mirrors: BTreeMap::from([(origin.host().to_owned(), mirrors)]),
        ..plainly(&[empty.host(), mirror.host(), origin.host()])
    };
    let reference = format!("{}/team/cost:1", origin.host());
    let pulled = pull(&config, &reference).await?;
    assert_eq!(pulled, near.fetched(b"of the mirror"));
    mirror.kill().await?;
    let pulled = pull(&config, &reference).await?;
    assert_eq!(pulled, far.fetched(b"of the origin"));
    Ok(())
}

#[tokio::test]
async fn what_failed_everywhere_names_every_registry() -> anyhow::Result<()> {
    let origin = Registry::start(RegistryOptions::default()).await?;
    let mirror = format!("127.0.0.1:{}", free_port()?);
    let config = OciConfig {
        mirrors: BTreeMap::from([(origin.host().to_owned(), vec![mirror.clone()])]),
        insecure_registries: BTreeSet::from([origin.host().to_owned(), mirror.clone()]),
        ..OciConfig::default()
    };
    let error = pull(&config, &format!("{}/team/cost:1", origin.host())).await;
    let error = error.unwrap_err();
    assert_eq!(error.reason(), "NotFound");
    assert!(error.is_retryable(), "the mirror may come back");
    let text = error.to_string();
    assert!(text.starts_with(&format!("{} has no", origin.host())));
    assert!(text.contains(&format!("mirror {mirror}: ")), "{text}");
    Ok(())
}
