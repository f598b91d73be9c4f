//! Signatures that cosign keeps beside an artifact, checked with one public key.
//!
//! They are cosign's "simple signing": `sha256-<hex>.sig` is a manifest whose layers are payloads
//! that name the artifact's manifest, each with its signature as an annotation. Neither a
//! transparency log nor certificates are asked: whoever has the key decides what runs. cosign 2
//! writes this form; cosign 3 does with `--new-bundle-format=false --use-signing-config=false`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci_client::manifest::OciDescriptor;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject as _;
use serde::Deserialize;
use trimtab_core::policies::Digest;
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::artifact::{Blob, image};
use super::error::{OciError, excerpt};
use super::session::Session;

const PAYLOAD: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
const SIGNATURE: &str = "dev.cosignproject.cosign/signature";

/// Signatures that are looked at: each costs a request. cosign adds one each time that it signs.
const MAX_SIGNATURES: usize = 32;

/// A payload has about 250 bytes, and what annotations the signer adds.
const MAX_PAYLOAD_BYTES: u64 = 64 << 10;

/// The operator's ECDSA key on P-256.
#[derive(Clone, Debug)]
pub(super) struct PublicKey {
    /// Uncompressed.
    point: Vec<u8>,
}

#[derive(Deserialize)]
struct Payload {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    image: Image,
}

#[derive(Deserialize)]
struct Image {
    #[serde(rename = "docker-manifest-digest")]
    manifest: String,
}

impl PublicKey {
    /// Reads what `cosign generate-key-pair` writes to `cosign.pub`.
    pub(super) fn from_pem(pem: &str) -> Result<Self, OciError> {
        let bad = |why: &str| OciError::Configuration {
            field: "publicKey",
            why: why.to_owned(),
        };
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| bad("it is no PEM that begins with -----BEGIN PUBLIC KEY-----"))?;
        let not_ours = || bad("it is no ECDSA key on the curve P-256, which cosign makes");
        let (_, key) = SubjectPublicKeyInfo::from_der(&der).map_err(|_| not_ours())?;
        let curve = key.algorithm.parameters.as_ref();
        let curve = curve.and_then(|curve| curve.as_oid().ok());
        let point: &[u8] = &key.subject_public_key.data;
        if key.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY
            || curve != Some(OID_EC_P256)
            || point.len() != 65
        {
            return Err(not_ours());
        }
        Ok(Self {
            point: point.to_vec(),
        })
    }

    /// Whether the payload is signed by this key, and for this manifest.
    fn check(&self, payload: &[u8], signature: &str, manifest: &Digest) -> Result<(), String> {
        let signature = STANDARD
            .decode(signature)
            .map_err(|_| "its signature is not base64".to_owned())?;
        // Before the payload is read: nobody else's text is parsed.
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point)
            .verify(payload, &signature)
            .map_err(|_| "it is signed by another key".to_owned())?;
        let read: Payload = serde_json::from_slice(payload)
            .map_err(|_| "what is signed names no manifest".to_owned())?;
        let signed = read.critical.image.manifest;
        if signed == manifest.0 {
            return Ok(());
        }
        Err(format!("what is signed is {}", excerpt(signed)))
    }
}

/// Finds one signature by this key for this manifest.
pub(super) async fn check(
    session: &mut Session<'_>,
    manifest: &Digest,
    key: &PublicKey,
) -> Result<(), OciError> {
    let invalid = |why: String| OciError::SignatureInvalid {
        manifest: manifest.to_string(),
        why,
    };
    let tag = tag_of(manifest);
    let signatures = match session.manifest(&tag).await {
        Ok(found) => found,
        Err(error) if error.is_retryable() => return Err(error),
        Err(error) => return Err(invalid(error.to_string())),
    };
    let layers = image(&signatures.bytes).map_err(|error| invalid(error.to_string()))?;
    let mut why = format!("{tag} has no layer of type {PAYLOAD} with a signature");
    let signed = layers.layers.iter().filter_map(signature_of);
    for (descriptor, signature) in signed.take(MAX_SIGNATURES) {
        match payload(session, descriptor).await {
            Err(error) if error.is_retryable() => return Err(error),
            Err(error) => why = error.to_string(),
            Ok(payload) => match key.check(&payload, signature, manifest) {
                Ok(()) => return Ok(()),
                Err(error) => why = error,
            },
        }
    }
    Err(invalid(why))
}

async fn payload(
    session: &mut Session<'_>,
    descriptor: &OciDescriptor,
) -> Result<Vec<u8>, OciError> {
    let blob = Blob::of(descriptor)?;
    if blob.size > MAX_PAYLOAD_BYTES {
        return Err(OciError::TooLarge {
            what: "what is signed".to_owned(),
            limit: MAX_PAYLOAD_BYTES,
            allowed_by: "are allowed",
        });
    }
    session.blob(&blob).await
}

fn tag_of(manifest: &Digest) -> String {
    format!("{}.sig", manifest.0.replacen(':', "-", 1))
}

fn signature_of(layer: &OciDescriptor) -> Option<(&OciDescriptor, &str)> {
    let signature = layer.annotations.as_ref()?.get(SIGNATURE)?;
    (layer.media_type == PAYLOAD).then_some((layer, signature.as_str()))
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, SigningKey as _};
    use serde_json::json;

    use super::*;

    fn digest(of: char) -> Digest {
        Digest(format!("sha256:{}", of.to_string().repeat(64)))
    }

    fn payload(manifest: &Digest) -> Vec<u8> {
        let image = json!({"docker-manifest-digest": manifest});
        json!({"critical": {"image": image}})
            .to_string()
            .into_bytes()
    }

    fn sign(key: &KeyPair, payload: &[u8]) -> String {
        STANDARD.encode(key.sign(payload).unwrap())
    }

    #[test]
    fn what_the_key_signed_is_accepted_for_its_manifest_alone() {
        let pair = KeyPair::generate().unwrap();
        let key = PublicKey::from_pem(&pair.public_key_pem()).unwrap();
        let payload = payload(&digest('a'));
        let signature = sign(&pair, &payload);
        assert_eq!(key.check(&payload, &signature, &digest('a')), Ok(()));
        let wanted = format!("what is signed is {}", digest('a'));
        let got = key.check(&payload, &signature, &digest('b'));
        assert_eq!(got, Err(wanted));
    }

    #[test]
    fn another_key_or_another_payload_is_refused() {
        let pair = KeyPair::generate().unwrap();
        let other = KeyPair::generate().unwrap();
        let key = PublicKey::from_pem(&pair.public_key_pem()).unwrap();
        let signed = payload(&digest('a'));
        let refused = Err("it is signed by another key".to_owned());
        let got = key.check(&signed, &sign(&other, &signed), &digest('a'));
        assert_eq!(got, refused);
        let swapped = payload(&digest('b'));
        let got = key.check(&swapped, &sign(&pair, &signed), &digest('b'));
        assert_eq!(got, refused);
        assert_eq!(key.check(&signed, "AAAA", &digest('a')), refused);
        let got = key.check(&signed, "not base64", &digest('a'));
        assert_eq!(got, Err("its signature is not base64".to_owned()));
    }

    #[test]
    fn what_is_signed_must_name_a_manifest() {
        let pair = KeyPair::generate().unwrap();
        let key = PublicKey::from_pem(&pair.public_key_pem()).unwrap();
        let got = key.check(b"{}", &sign(&pair, b"{}"), &digest('a'));
        assert_eq!(got, Err("what is signed names no manifest".to_owned()));
    }

    #[test]
    fn keys_of_other_kinds_are_refused() {
        let other = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let pair = KeyPair::generate().unwrap();
        for (pem, why) in [
            (other.public_key_pem(), "P-256"),
            (pair.serialize_pem(), "BEGIN PUBLIC KEY"),
            (String::new(), "BEGIN PUBLIC KEY"),
            (
                "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n".to_owned(),
                "P-256",
            ),
        ] {
            let error = PublicKey::from_pem(&pem).unwrap_err();
            assert_eq!(error.reason(), "Configuration");
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn a_signature_is_found_by_the_digest_that_it_signs() {
        assert_eq!(
            tag_of(&digest('a')),
            format!("sha256-{}.sig", "a".repeat(64))
        );
    }
}
