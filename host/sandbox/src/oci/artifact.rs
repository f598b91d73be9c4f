//! Which layer of a manifest is the policy: the CNCF's layout of WebAssembly artifacts, as wkg and
//! oras push it, and the older layout before it.

use oci_client::manifest::{OciDescriptor, OciImageManifest, OciManifest};
use trimtab_core::policies::Digest;

use super::error::{OciError, excerpt};
use super::reference::parse_digest;

const LAYERS: [&str; 2] = [
    "application/wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
];

/// The last is what oras writes where it is given no config: the layer's type says enough.
const CONFIGS: [&str; 3] = [
    "application/vnd.wasm.config.v0+json",
    "application/vnd.wasm.config.v1+json",
    "application/vnd.oci.empty.v1+json",
];

/// Layers that a message names.
const NAMED: usize = 4;

/// A blob that a manifest names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    /// As the manifest says, in bytes.
    pub(super) size: u64,
}

impl Blob {
    pub(super) fn of(descriptor: &OciDescriptor) -> Result<Self, OciError> {
        let found = || OciError::WrongMediaType {
            found: format!(
                "its layer has the digest `{}` and {} bytes",
                excerpt(&descriptor.digest),
                descriptor.size
            ),
        };
        let digest = parse_digest(&descriptor.digest).ok_or_else(found)?;
        let size = u64::try_from(descriptor.size).map_err(|_| found())?;
        Ok(Self { digest, size })
    }
}

/// The one component of an artifact.
pub(super) fn component_of(manifest: &[u8]) -> Result<Blob, OciError> {
    let image = image(manifest)?;
    let refused = |found: String| Err(OciError::WrongMediaType { found });
    let config = image.config.media_type.as_str();
    if !CONFIGS.contains(&config) {
        let (config, layers) = (excerpt(config), types_of(&image.layers));
        return refused(format!("its config has type {config}, {layers}"));
    }
    let is_wasm = |layer: &&OciDescriptor| LAYERS.contains(&layer.media_type.as_str());
    let mut components = image.layers.iter().filter(is_wasm);
    match (components.next(), components.next()) {
        (Some(only), None) => Blob::of(only),
        (None | Some(_), _) => refused(types_of(&image.layers)),
    }
}

/// A manifest that is no index.
pub(super) fn image(manifest: &[u8]) -> Result<OciImageManifest, OciError> {
    let refused = |found: &str| {
        Err(OciError::WrongMediaType {
            found: found.to_owned(),
        })
    };
    match serde_json::from_slice(manifest) {
        Ok(OciManifest::Image(image)) if image.schema_version == 2 => Ok(image),
        Ok(OciManifest::Image(_)) => refused("its manifest is not of schema version 2"),
        Ok(OciManifest::ImageIndex(_)) => {
            refused("it is an index of several manifests: refer to one of them by its digest")
        }
        Err(_) => refused("its manifest is not that of an OCI image or artifact"),
    }
}

fn types_of(layers: &[OciDescriptor]) -> String {
    let named = layers.iter().take(NAMED);
    let named: Vec<String> = named.map(|layer| excerpt(&layer.media_type)).collect();
    match (named.is_empty(), layers.len().saturating_sub(NAMED)) {
        (true, _) => "it has no layers".to_owned(),
        (false, 0) => format!("its layers have type {}", named.join(", ")),
        (false, more) => format!("its layers have type {} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const LAYOUT: &str = "application/vnd.wasm.config.v0+json";
    const TAR: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

    fn manifest(config: &str, layers: &[&str]) -> Value {
        let blob =
            |media_type: &&str| json!({"mediaType": media_type, "digest": DIGEST, "size": 7});
        let layers: Vec<Value> = layers.iter().map(blob).collect();
        json!({"schemaVersion": 2, "config": blob(&config), "layers": layers})
    }

    fn read(manifest: &Value) -> Result<Blob, OciError> {
        component_of(manifest.to_string().as_bytes())
    }

    #[track_caller]
    fn refused(manifest: &Value) -> String {
        let error = read(manifest).unwrap_err();
        assert_eq!(error.reason(), "WrongMediaType");
        error.to_string()
    }

    #[test]
    fn one_wasm_layer_is_the_policy() {
        let wanted = Blob {
            digest: Digest(DIGEST.to_owned()),
            size: 7,
        };
        for (config, layers) in [
            (LAYOUT, &["application/wasm"][..]),
            (LAYOUT, &["text/markdown", "application/wasm"]),
            ("application/vnd.oci.empty.v1+json", &["application/wasm"]),
            ("application/vnd.wasm.config.v1+json", &LAYERS[1..]),
        ] {
            assert_eq!(read(&manifest(config, layers)).unwrap(), wanted);
        }
    }

    #[test]
    fn an_image_is_refused_and_its_types_are_named() {
        let image = manifest("application/vnd.oci.image.config.v1+json", &[TAR]);
        assert_eq!(
            refused(&image),
            "no policy: its config has type application/vnd.oci.image.config.v1+json, its layers \
             have type application/vnd.oci.image.layer.v1.tar+gzip; expected is one layer of type \
             application/wasm"
        );
        assert!(refused(&manifest(LAYOUT, &[TAR])).contains(TAR));
        assert!(refused(&manifest(LAYOUT, &[])).contains("no layers"));
        assert!(refused(&manifest(LAYOUT, &[TAR; 9])).contains("and 5 more"));
    }

    #[test]
    fn two_components_are_refused() {
        let both = manifest(LAYOUT, &LAYERS);
        assert!(refused(&both).contains(LAYERS[1]));
    }

    #[test]
    fn an_index_is_refused_and_a_digest_asked_for() {
        let index = json!({"schemaVersion": 2, "manifests": []});
        assert!(refused(&index).contains("by its digest"));
    }

    #[test]
    fn a_layer_whose_digest_or_size_is_nonsense_is_refused() {
        for (field, value) in [
            ("digest", json!("sha256:../../../secret")),
            ("digest", json!("md5:00")),
            ("size", json!(-1)),
        ] {
            let mut manifest = manifest(LAYOUT, &["application/wasm"]);
            manifest["layers"][0][field] = value;
            assert!(refused(&manifest).contains("its layer has the digest"));
        }
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for other in [json!([]), json!({"schemaVersion": 1}), json!("x")] {
            refused(&other);
        }
        let mut old = manifest(LAYOUT, &["application/wasm"]);
        old["schemaVersion"] = json!(1);
        assert!(refused(&old).contains("schema version 2"));
    }
}
