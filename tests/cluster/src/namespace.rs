//! A namespace for each test, which on failure shows what was in it before it goes.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{Namespace as Object, Node, Pod, ServiceAccount};
use kube::api::{Api, DeleteParams, DynamicObject, ListParams, ObjectMeta, Patch, PatchParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Client, Resource, ResourceExt as _};

use crate::ControlPlane;
use crate::process::take_last_words;
use crate::scratch::random_name;
use crate::wait::{DEADLINE, wait_until};

/// Set to keep the namespaces of failed tests.
pub const KEEP: &str = "TRIMTAB_TESTS_KEEP";

/// Nodes that belong to a test carry its namespace under this label, and its pods ask for it.
pub const NODE_LABEL: &str = "test.trimtab.io/namespace";

/// Who owns the fields that tests apply.
pub(crate) const MANAGER: &str = "trimtab-tests";

/// Lines of each process's log that a failure shows.
const LOG_LINES: usize = 20;

/// A test's namespace.
#[derive(Clone)]
pub struct Namespace {
    name: String,
    client: Client,
}

impl std::fmt::Debug for Namespace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// Runs a test in a namespace of its own. Where it fails or panics, prints the namespace's objects
/// and events and the ends of the processes' logs; deletes the namespace and its nodes either way,
/// without waiting until they are gone.
///
/// # Errors
/// Those of the test, and where the namespace cannot be made.
pub async fn in_namespace(
    plane: &ControlPlane,
    test: impl AsyncFnOnce(&Namespace) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let namespace = Namespace::create(plane.client().await?).await?;
    drop(take_last_words()); // of a test before on this thread
    let outcome = AssertUnwindSafe(test(&namespace)).catch_unwind().await;
    let has_failed = !matches!(outcome, Ok(Ok(())));
    if has_failed {
        show(&namespace, plane).await;
    }
    if !(has_failed && std::env::var_os(KEEP).is_some()) {
        // The test's own outcome says more than that this failed.
        let _ = namespace.delete().await;
    }
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Namespace {
    async fn create(client: Client) -> anyhow::Result<Self> {
        let name = format!("test-{}", random_name()?);
        let object = Object {
            metadata: ObjectMeta {
                name: Some(name.clone()),
                ..ObjectMeta::default()
            },
            ..Object::default()
        };
        let created = Api::<Object>::all(client.clone());
        created.create(&Default::default(), &object).await?;
        let namespace = Self { name, client };
        // Pods are refused before.
        let accounts = namespace.api::<ServiceAccount>();
        wait_until("the default account is there", DEADLINE, async || {
            Ok(accounts.get("default").await?)
        })
        .await?;
        Ok(namespace)
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Objects of a kind in here.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client(), &self.name)
    }

    /// Objects of a kind without a type, e.g. `("keda.sh", "v1alpha1", "ScaledObject")`.
    #[must_use]
    pub fn dynamic(&self, (group, version, kind): (&str, &str, &str)) -> Api<DynamicObject> {
        let kind = GroupVersionKind::gvk(group, version, kind);
        Api::namespaced_with(self.client(), &self.name, &ApiResource::from_gvk(&kind))
    }

    /// Applies an object in here, as `kubectl apply --server-side` does.
    ///
    /// # Errors
    /// Where it is refused.
    pub async fn apply<K>(&self, object: &K) -> anyhow::Result<K>
    where
        K: Resource<Scope = NamespaceResourceScope>
            + serde::Serialize
            + serde::de::DeserializeOwned
            + Clone
            + std::fmt::Debug,
        K::DynamicType: Default,
    {
        let apply = PatchParams::apply(MANAGER).force();
        let api = self.api::<K>();
        Ok(api
            .patch(&object.name_any(), &apply, &Patch::Apply(object))
            .await?)
    }

    /// The same for an object of any kind: JSON with its `apiVersion` and `kind`.
    ///
    /// # Errors
    /// Where it is no object, or is refused.
    pub async fn apply_json(&self, object: serde_json::Value) -> anyhow::Result<DynamicObject> {
        let object: DynamicObject = serde_json::from_value(object)?;
        let types = object.types.clone().unwrap_or_default();
        let kind = GroupVersionKind::try_from(types)?;
        let api = self.dynamic((&kind.group, &kind.version, &kind.kind));
        let apply = PatchParams::apply(MANAGER).force();
        Ok(api
            .patch(&object.name_any(), &apply, &Patch::Apply(&object))
            .await?)
    }

    async fn delete(&self) -> anyhow::Result<()> {
        let all = DeleteParams::background();
        let namespaces = Api::<Object>::all(self.client());
        namespaces.delete(&self.name, &all).await?;
        // At once, before the nodes: of a pod without a node nobody confirms the end.
        let at_once = DeleteParams::default().grace_period(0);
        let pods = self.api::<Pod>();
        pods.delete_collection(&at_once, &ListParams::default())
            .await?;
        let own = ListParams::default().labels(&format!("{NODE_LABEL}={}", self.name));
        let nodes = Api::<Node>::all(self.client());
        nodes.delete_collection(&all, &own).await?;
        Ok(())
    }
}

#[expect(
    clippy::print_stderr,
    reason = "what a failed test says; the test runner shows it with the test"
)]
async fn show(namespace: &Namespace, plane: &ControlPlane) {
    let name = namespace.name();
    eprintln!("\n=== namespace {name} of the failed test");
    eprintln!("{}", objects(namespace, plane).await);
    let sorted = "--sort-by=.metadata.creationTimestamp";
    let events = plane.kubectl(&["get", "events", "-n", name, sorted]).await;
    eprintln!("--- events\n{}", either(events));
    eprintln!("{}", plane.logs(LOG_LINES).await);
    eprintln!("{}", take_last_words());
}

/// Every object of the namespace but for events, as kubectl shows them.
async fn objects(namespace: &Namespace, plane: &ControlPlane) -> String {
    let listed = plane.kubectl(&[
        "api-resources",
        "--namespaced",
        "--verbs=list",
        "-o",
        "name",
    ]);
    let kinds = match listed.await {
        Ok(kinds) => kinds,
        Err(error) => return format!("{error:#}"),
    };
    let boring = [
        "events",
        "configmaps",
        "serviceaccounts",
        "controllerrevisions",
    ];
    let kinds: Vec<&str> = kinds
        .lines()
        .filter(|kind| !boring.iter().any(|other| kind.starts_with(other)))
        .collect();
    let kinds = kinds.join(",");
    let name = namespace.name();
    let wide = [
        "get",
        &kinds,
        "-n",
        name,
        "--ignore-not-found",
        "--show-kind",
        "-o",
        "wide",
    ];
    either(plane.kubectl(&wide).await)
}

fn either(outcome: anyhow::Result<String>) -> String {
    outcome.unwrap_or_else(|error| format!("{error:#}"))
}
