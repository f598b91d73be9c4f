//! Where the operator demands signatures, only what its key signed is pulled. They are made here as
//! cosign makes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, SigningKey as _};
use serde_json::json;

use super::*;

const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

fn signing(registry: &Registry, key: &KeyPair) -> OciConfig {
    OciConfig {
        public_key: Some(key.public_key_pem()),
        ..plainly(&[registry.host()])
    }
}

/// Says that this key signed this manifest.
fn signature(key: &KeyPair, manifest: &str) -> anyhow::Result<ImageLayer> {
    let payload = json!({
        "critical": {
            "identity": {"docker-reference": "registry.example/team/cost"},
            "image": {"docker-manifest-digest": manifest},
            "type": "cosign container image signature",
        },
        "optional": null,
    });
    let payload = payload.to_string().into_bytes();
    let signature = STANDARD.encode(key.sign(&payload)?);
    let annotation = ("dev.cosignproject.cosign/signature".to_owned(), signature);
    let annotations = BTreeMap::from([annotation]);
    Ok(ImageLayer::new(
        payload,
        PAYLOAD.to_owned(),
        Some(annotations),
    ))
}

/// Keeps signatures where cosign looks for those of this manifest.
async fn attach(
    registry: &Registry,
    manifest: &str,
    signatures: &[ImageLayer],
) -> anyhow::Result<()> {
    let name = format!("team/cost:{}.sig", manifest.replace(':', "-"));
    let config = "application/vnd.oci.image.config.v1+json";
    registry.push(&name, config, signatures).await?;
    Ok(())
}

#[tokio::test]
async fn what_nobody_signed_is_refused() -> anyhow::Result<()> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let pushed = push(&registry, "team/cost:1", COMPONENT).await?;
    let config = signing(&registry, &KeyPair::generate()?);
    let reference = format!("{}/team/cost:1", registry.host());
    let missing = format!("{}.sig", pushed.manifest.replace(':', "-"));
    let pulled = pull(&config, &reference).await;
    assert_refused(pulled, "SignatureInvalid", &missing);
    let request = PullRequest {
        reference,
        credentials: Vec::new(),
    };
    let known = Some(&pushed.component);
    let pulled = Puller::new(config)?.pull(&request, known).await;
    assert_refused(pulled, "SignatureInvalid", &missing);
    Ok(())
}

#[tokio::test]
async fn what_the_operators_key_signed_is_pulled() -> anyhow::Result<()> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let pushed = push(&registry, "team/cost:1", COMPONENT).await?;
    let (ours, other) = (KeyPair::generate()?, KeyPair::generate()?);
    let both = [
        signature(&other, &pushed.manifest)?,
        signature(&ours, &pushed.manifest)?,
    ];
    attach(&registry, &pushed.manifest, &both).await?;
    let config = signing(&registry, &ours);
    let reference = format!("{}/team/cost:1", registry.host());
    assert_eq!(pull(&config, &reference).await?, pushed.fetched(COMPONENT));
    Ok(())
}

#[tokio::test]
async fn what_another_key_signed_is_refused() -> anyhow::Result<()> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let pushed = push(&registry, "team/cost:1", COMPONENT).await?;
    let signed = signature(&KeyPair::generate()?, &pushed.manifest)?;
    attach(&registry, &pushed.manifest, &[signed]).await?;
    let config = signing(&registry, &KeyPair::generate()?);
    let reference = format!("{}/team/cost:1", registry.host());
    let pulled = pull(&config, &reference).await;
    assert_refused(pulled, "SignatureInvalid", "signed by another key");
    Ok(())
}

#[tokio::test]
async fn a_signature_of_another_manifest_is_refused() -> anyhow::Result<()> {
    let registry = Registry::start(RegistryOptions::default()).await?;
    let signed = push(&registry, "team/cost:1", COMPONENT).await?;
    let swapped = push(&registry, "team/cost:2", b"another").await?;
    let ours = KeyPair::generate()?;
    let of_first = [signature(&ours, &signed.manifest)?];
    attach(&registry, &swapped.manifest, &of_first).await?;
    let config = signing(&registry, &ours);
    let reference = format!("{}/team/cost:2", registry.host());
    let pulled = pull(&config, &reference).await;
    let says = format!("what is signed is {}", signed.manifest);
    assert_refused(pulled, "SignatureInvalid", &says);
    Ok(())
}
