//! What the core remembers, kept in ConfigMaps, so that a restart or another leader goes on with
//! it. Each holds a part and stands for itself: one that is damaged costs what is in it, no more.

mod part;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::{Client, Error};
use trimtab_core::memory::Memory;

use self::part::{Damage, Part};
use crate::refusal::explained;

/// What whoever keeps state must be granted, in its own namespace.
pub const RIGHTS: &str = "`list`, `create`, `update` and `delete` of configmaps";

/// Marks ConfigMaps that hold state, with the name of the operator's Lease as its value.
const LABEL: &str = "trimtab.dev/state";
/// The same for those that were set aside.
const DAMAGED_LABEL: &str = "trimtab.dev/damaged-state";

/// Bytes of a part, compressed. A ConfigMap may have 1 MiB with everything in it.
const LARGEST_PART: usize = 768 * 1024;
/// About as many bytes of memory, uncompressed, are meant for one part.
const PART_TARGET: usize = 1024 * 1024;
const MOST_PARTS: usize = 256;

/// Reads and writes the checkpoint of one operator.
pub struct Checkpoint {
    api: Api<ConfigMap>,
    owner: String,
    namespace: String,
    /// By name.
    written: BTreeMap<String, Written>,
}

/// A ConfigMap as it stands in the cluster.
#[derive(Clone, Debug)]
struct Written {
    resource_version: Option<String>,
    digest: String,
}

/// What a checkpoint held.
#[derive(Debug, Default)]
pub struct Loaded {
    pub memory: Memory,
    /// Parts that could not be read and were set aside: the ConfigMap's name, and what is wrong.
    pub damaged: Vec<(String, String)>,
}

/// Why a checkpoint was not written.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// It is not as this process left it.
    #[error(
        "ConfigMap `{0}` was changed by another process that leads, or by an earlier write of this \
         one to which no answer came; it is read again"
    )]
    Fenced(String),
    #[error("ConfigMap `{name}`: {}", explained(.source, RIGHTS))]
    Api { name: String, source: Box<Error> },
    #[error("ConfigMap `{name}`: state of {bytes} bytes is too large for one; it is not kept")]
    TooLarge { name: String, bytes: usize },
}

impl Checkpoint {
    /// `owner` is the name of the operator's Lease; several operators in one namespace differ in it.
    #[must_use]
    pub fn new(client: Client, namespace: &str, owner: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            owner: owner.to_owned(),
            namespace: namespace.to_owned(),
            written: BTreeMap::new(),
        }
    }

    /// Reads all parts. Those that are damaged are set aside under another name.
    ///
    /// # Errors
    /// The API server did not answer, or refused.
    pub async fn load(&mut self) -> Result<Loaded, Error> {
        let selector = format!("{LABEL}={}", self.owner);
        let parameters = ListParams::default().labels(&selector);
        let mut loaded = Loaded::default();
        self.written.clear();
        for object in self.api.list(&parameters).await? {
            let name = object.metadata.name.clone().unwrap_or_default();
            let digest = match Part::read(&object) {
                Ok(part) => {
                    loaded.memory.absorb(part.memory);
                    part.digest
                }
                Err(damage) => {
                    tracing::warn!(configmap = name, %damage, "state is damaged; set aside");
                    self.set_aside(&object, &name, &damage).await?;
                    loaded.damaged.push((name.clone(), damage.to_string()));
                    String::new()
                }
            };
            let resource_version = object.metadata.resource_version;
            let written = Written {
                resource_version,
                digest,
            };
            self.written.insert(name, written);
        }
        Ok(loaded)
    }

    /// Keeps what could not be read for whoever wants to look at it; of each part, the last one.
    async fn set_aside(
        &self,
        object: &ConfigMap,
        name: &str,
        damage: &Damage,
    ) -> Result<(), Error> {
        let aside = format!("{name}-damaged");
        let labels = [(DAMAGED_LABEL.to_owned(), self.owner.clone())];
        let annotation = [("trimtab.dev/damage".to_owned(), damage.to_string())];
        let copy = ConfigMap {
            metadata: ObjectMeta {
                name: Some(aside.clone()),
                namespace: Some(self.namespace.clone()),
                labels: Some(labels.into()),
                annotations: Some(annotation.into()),
                ..ObjectMeta::default()
            },
            ..object.clone()
        };
        match self.api.create(&PostParams::default(), &copy).await {
            Err(Error::Api(status)) if status.code == 409 => {
                self.api
                    .replace(&aside, &PostParams::default(), &copy)
                    .await?;
            }
            created => {
                created?;
            }
        }
        Ok(())
    }

    /// Writes the parts that changed. Returns how many these were.
    ///
    /// # Errors
    /// The first that occurred; the other parts were written all the same, unless another process
    /// leads, or there are to be more parts than before.
    pub async fn save(&mut self, memory: &Memory) -> Result<usize, SaveError> {
        let parts = part::encode_all(memory, PART_TARGET, MOST_PARTS);
        let mut first_error = None;
        let mut changed = 0;
        let count = parts.len();
        let grows = count > self.written.len();
        // From the last on: what moves to a part that is new is there before it goes elsewhere.
        for (number, (digest, bytes)) in parts.into_iter().enumerate().rev() {
            let name = self.name(number);
            if self
                .written
                .get(&name)
                .is_some_and(|written| written.digest == digest)
            {
                continue;
            }
            match self.write(&name, &digest, bytes).await {
                Ok(()) => changed += 1,
                Err(error @ SaveError::Fenced(_)) => return Err(error),
                Err(error @ SaveError::Api { .. }) if grows => return Err(error),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        // What a part that goes had is in another only once all were written.
        let surplus = self
            .written
            .keys()
            .filter(|name| first_error.is_none() && !self.is_among(name, count));
        for name in surplus.cloned().collect::<Vec<_>>() {
            if let Err(error) = self.delete(&name).await {
                first_error.get_or_insert(error);
            }
        }
        first_error.map_or(Ok(changed), Err)
    }

    fn name(&self, number: usize) -> String {
        format!("{}-state-{number}", self.owner)
    }

    fn is_among(&self, name: &str, count: usize) -> bool {
        (0..count).any(|number| self.name(number) == name)
    }

    async fn write(&mut self, name: &str, digest: &str, bytes: Vec<u8>) -> Result<(), SaveError> {
        if bytes.len() > LARGEST_PART {
            return Err(SaveError::TooLarge {
                name: name.to_owned(),
                bytes: bytes.len(),
            });
        }
        let before = self.written.get(name);
        let resource_version = before.and_then(|written| written.resource_version.clone());
        let labels = [
            (LABEL.to_owned(), self.owner.clone()),
            (
                "app.kubernetes.io/managed-by".to_owned(),
                "trimtab".to_owned(),
            ),
        ];
        let (data, binary_data) = part::fields(digest, ByteString(bytes));
        let object = ConfigMap {
            metadata: ObjectMeta {
                name: Some(name.to_owned()),
                namespace: Some(self.namespace.clone()),
                labels: Some(labels.into()),
                resource_version: resource_version.clone(),
                ..ObjectMeta::default()
            },
            data: Some(data),
            binary_data: Some(binary_data),
            immutable: None,
        };
        let parameters = PostParams::default();
        let written = match resource_version {
            Some(_) => self.api.replace(name, &parameters, &object).await,
            None => self.api.create(&parameters, &object).await,
        };
        match written {
            Ok(object) => {
                let written = Written {
                    resource_version: object.metadata.resource_version,
                    digest: digest.to_owned(),
                };
                self.written.insert(name.to_owned(), written);
                Ok(())
            }
            Err(error) => Err(self.failed(name, error)),
        }
    }

    async fn delete(&mut self, name: &str) -> Result<(), SaveError> {
        match self.api.delete(name, &DeleteParams::default()).await {
            Err(Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(self.failed(name, error)),
            Ok(_) => {}
        }
        self.written.remove(name);
        Ok(())
    }

    /// A part that somebody deleted is written anew the next time.
    fn failed(&mut self, name: &str, error: Error) -> SaveError {
        let code = if let Error::Api(status) = &error {
            status.code
        } else {
            0
        };
        if code == 409 {
            return SaveError::Fenced(name.to_owned());
        }
        if code == 404 {
            self.written.remove(name);
        }
        SaveError::Api {
            name: name.to_owned(),
            source: Box::new(error),
        }
    }
}
