//! The certificates of one control plane: its authority, what its servers show, and who its clients
//! are.

use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};

/// What every server of the control plane is reached by.
const SERVER_NAMES: [&str; 6] = [
    "127.0.0.1",
    "127.77.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
];

/// Signs certificates into a directory, as `NAME.crt` and `NAME.key`.
#[derive(Debug)]
pub(crate) struct Authority {
    directory: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key, on disk.
#[derive(Clone, Debug)]
pub struct Pair {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// An authority whose own certificate is `NAME.crt`.
    pub(crate) fn new(directory: &Path, name: &str) -> anyhow::Result<Self> {
        fs_err::create_dir_all(directory)?;
        let mut of = CertificateParams::default();
        of.distinguished_name.push(DnType::CommonName, name);
        of.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        of.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let issuer = CertifiedIssuer::self_signed(of, KeyPair::generate()?)?;
        let pem = issuer.pem();
        fs_err::write(directory.join(format!("{name}.crt")), &pem)?;
        Ok(Self {
            directory: directory.to_owned(),
            issuer,
            pem,
        })
    }

    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// For a server on loopback.
    pub(crate) fn server(&self, file: &str) -> anyhow::Result<Pair> {
        self.on_loopback(file, &[], &[ExtendedKeyUsagePurpose::ServerAuth])
    }

    /// For a server on loopback that has further names, and is a client too.
    pub(crate) fn peer(&self, file: &str, names: &[&str]) -> anyhow::Result<Pair> {
        let usages = [
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        self.on_loopback(file, names, &usages)
    }

    fn on_loopback(
        &self,
        file: &str,
        names: &[&str],
        usages: &[ExtendedKeyUsagePurpose],
    ) -> anyhow::Result<Pair> {
        let names = SERVER_NAMES.iter().chain(names);
        let names: Vec<String> = names.map(|name| (*name).to_owned()).collect();
        let mut of = CertificateParams::new(names)?;
        of.extended_key_usages = usages.to_vec();
        of.distinguished_name.push(DnType::CommonName, file);
        self.sign(file, of)
    }

    /// For a client: Kubernetes takes the common name for the user, organizations for the groups.
    pub(crate) fn client(&self, file: &str, user: &str, groups: &[&str]) -> anyhow::Result<Pair> {
        let mut of = CertificateParams::default();
        of.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        of.distinguished_name.push(DnType::CommonName, user);
        for group in groups {
            of.distinguished_name.push(DnType::OrganizationName, *group);
        }
        self.sign(file, of)
    }

    fn sign(&self, file: &str, of: CertificateParams) -> anyhow::Result<Pair> {
        let key = KeyPair::generate()?;
        let signed = of.signed_by(&key, &self.issuer)?;
        let pair = Pair {
            certificate: self.directory.join(format!("{file}.crt")),
            key: self.directory.join(format!("{file}.key")),
        };
        fs_err::write(&pair.certificate, signed.pem())?;
        fs_err::write(&pair.key, key.serialize_pem())?;
        Ok(pair)
    }
}

/// A key pair that signs the tokens of service accounts, as `NAME.key` and `NAME.pub`.
pub(crate) fn signing_key(directory: &Path, name: &str) -> anyhow::Result<()> {
    let key = KeyPair::generate()?;
    fs_err::write(directory.join(format!("{name}.key")), key.serialize_pem())?;
    fs_err::write(directory.join(format!("{name}.pub")), key.public_key_pem())?;
    Ok(())
}
