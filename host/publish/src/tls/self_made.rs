//! Certificates that we make for ourselves: each leaf has a CA of its own, whose key is forgotten.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::TlsError;

/// Clocks of others may be late.
const SLACK_SECONDS: i64 = 3600;

/// A server's certificate, its key, and who vouches for it. PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfMade {
    pub ca: String,
    pub certificate: String,
    pub key: String,
}

impl SelfMade {
    /// Valid from now on, for these names. Instants are in seconds since the Unix epoch.
    ///
    /// # Errors
    /// Where a name is none.
    pub fn new(names: &[String], now_seconds: i64, until_seconds: i64) -> Result<Self, TlsError> {
        let valid = |params: &mut CertificateParams| {
            params.not_before = instant(now_seconds - SLACK_SECONDS)?;
            params.not_after = instant(until_seconds)?;
            Ok::<_, TlsError>(())
        };
        let mut ca = CertificateParams::default();
        ca.distinguished_name = named("trimtab-ca");
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        valid(&mut ca)?;
        let ca_key = KeyPair::generate()?;
        let ca_certificate = ca.self_signed(&ca_key)?;
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name = named("trimtab");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        valid(&mut leaf)?;
        let key = KeyPair::generate()?;
        let leaf = leaf.signed_by(&key, &Issuer::new(ca, ca_key))?;
        Ok(Self {
            ca: ca_certificate.pem(),
            certificate: leaf.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn named(name: &str) -> DistinguishedName {
    let mut named = DistinguishedName::new();
    named.push(DnType::CommonName, name);
    named
}

fn instant(seconds: i64) -> Result<OffsetDateTime, TlsError> {
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|error| TlsError::Read(error.to_string()))
}

/// Until when the first of these certificates (PEM) is valid, in seconds since the Unix epoch.
///
/// # Errors
/// Where it cannot be read.
pub fn until_seconds(certificates: &str) -> Result<i64, TlsError> {
    let first = CertificateDer::from_pem_slice(certificates.as_bytes());
    let first = first.map_err(|source| TlsError::Pem {
        what: "certificate",
        source,
    })?;
    let (_, first) =
        X509Certificate::from_der(&first).map_err(|error| TlsError::Read(error.to_string()))?;
    Ok(first.validity().not_after.timestamp())
}
