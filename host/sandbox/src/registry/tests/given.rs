//! Components made by hand, a source that answers as it is told, and waiting for a table.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use trimtab_contract::{Context, Objective, Pool, Workload};
use trimtab_core::policies::{CallError, Digest};

use crate::{
    Entry, Fetch, FetchError, Fetched, Limits, Policy, PolicyKey, Reason, Registry, RegistryConfig,
    Remote, Sandbox, SandboxConfig, Source, State, Table, Wanted,
};

pub(super) static SANDBOX: LazyLock<Arc<Sandbox>> = LazyLock::new(|| {
    Arc::new(Sandbox::new(SandboxConfig::default()).expect("this machine runs WebAssembly"))
});

/// An analyzer that answers with its version as its state.
pub(super) fn guest(version: u32) -> Arc<[u8]> {
    guest_that(version, "i32.const 0")
}

/// The same, with this body of `describe`, which returns the address of an empty descriptor.
pub(super) fn guest_that(version: u32, describe: &str) -> Arc<[u8]> {
    let version = escaped(&version.to_le_bytes());
    // Of an analysis: it is one, three lists, and the state's address and length.
    let answer: Vec<u8> = [0_u32, 0, 0, 0, 0, 0, 0, 2_048, 4]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    let answer = escaped(&answer);
    let text = format!(
        r#"(module
            (memory (export "memory") 32)
            (global $heap (mut i32) (i32.const 1048576))
            (data (i32.const 1024) "{answer}")
            (data (i32.const 2048) "{version}")
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                global.get $heap
                (global.set $heap (i32.and
                    (i32.add (i32.add (global.get $heap) (local.get 3)) (i32.const 7))
                    (i32.const -8))))
            (func (export "trimtab:policy/analyzer@0.1.0#describe") (result i32) {describe})
            (func (export "trimtab:policy/analyzer@0.1.0#analyze") (param i32) (result i32)
                i32.const 1024))"#
    );
    let module = wat::parse_str(text).expect("the test's module is well formed");
    let component = trimtab_componentize::encode(&module);
    component.expect("the test's module is a policy").into()
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("\\{byte:02x}")).collect()
}

pub(super) fn digest(bytes: &[u8]) -> Digest {
    Digest(format!("sha256:{}", hex::encode(Sha256::digest(bytes))))
}

/// The version that a call of the policy answers with.
pub(super) fn version(policy: &Policy) -> Result<u32, CallError> {
    let context = Context {
        now: 1_700_000_000_000,
        period: 15.0,
        settings: "{}".into(),
        state: Vec::new(),
    };
    let analyzer = policy.analyzer().expect("the guest is an analyzer");
    let analysis = analyzer.analyze(&context, &pool(), &[], &[])?;
    let state = analysis.state.as_slice().try_into();
    Ok(u32::from_le_bytes(
        state.expect("the guest's state is its version"),
    ))
}

fn pool() -> Pool {
    Pool {
        name: "pool".into(),
        namespace: "default".into(),
        model: "model".into(),
        objective: Objective {
            ttft: None,
            itl: None,
            throughput: None,
            percentile: 0.99,
            priority: 1,
        },
        workload: Workload {
            request_rate: None,
            input_tokens: None,
            output_tokens: None,
            prefix_hit_ratio: None,
            queued_requests: None,
            queued_bytes: None,
            ttft_mean: None,
            ttft_at_percentile: None,
            itl_mean: None,
            itl_at_percentile: None,
        },
        variants: Vec::new(),
    }
}

/// Gives what it is told to, and remembers when it was asked.
#[derive(Default)]
pub(super) struct Told {
    /// `None` does not answer.
    pub(super) answer: Mutex<Option<Result<Fetched, FetchError>>>,
    asked: Mutex<Vec<(Instant, Option<Digest>)>>,
}

impl Told {
    pub(super) fn to_give(&self, bytes: &[u8], resolved: &str) {
        self.to_answer(Ok(Fetched::Component {
            bytes: bytes.to_vec(),
            resolved: resolved.to_owned(),
        }));
    }

    pub(super) fn to_repeat(&self, resolved: &str) {
        self.to_answer(Ok(Fetched::Unchanged {
            resolved: resolved.to_owned(),
        }));
    }

    pub(super) fn to_fail(&self, reason: Reason, message: &str) {
        self.to_answer(Err(FetchError {
            reason,
            message: message.to_owned(),
        }));
    }

    fn to_answer(&self, answer: Result<Fetched, FetchError>) {
        *self.answer.lock().unwrap() = Some(answer);
    }

    /// Seconds from each time it was asked to the next.
    pub(super) fn waits(&self) -> Vec<u64> {
        let asked = self.asked.lock().unwrap();
        asked
            .windows(2)
            .map(|pair| (pair[1].0 - pair[0].0).as_secs())
            .collect()
    }

    pub(super) fn times_asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// What was known each time.
    pub(super) fn known(&self) -> Vec<Option<Digest>> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(_, known)| known.clone()).collect()
    }
}

impl Fetch for Told {
    fn fetch<'a>(
        &'a self,
        _: &'a Remote,
        known: Option<&'a Digest>,
    ) -> BoxFuture<'a, Result<Fetched, FetchError>> {
        let asked = (Instant::now(), known.cloned());
        self.asked.lock().unwrap().push(asked);
        let answer = self.answer.lock().unwrap().clone();
        async move {
            match answer {
                Some(answer) => answer,
                None => futures::future::pending().await,
            }
        }
        .boxed()
    }
}

pub(super) fn config() -> RegistryConfig {
    RegistryConfig::new(Arc::new(Told::default()))
}

/// A registry without a directory.
pub(super) fn registry() -> Arc<Registry> {
    Registry::start(Arc::clone(&SANDBOX), config())
}

/// A registry whose remote source can be told what to give.
pub(super) fn told() -> (Arc<Registry>, Arc<Told>) {
    let told = Arc::new(Told::default());
    let config = RegistryConfig::new(Arc::clone(&told) as Arc<dyn Fetch>);
    (Registry::start(Arc::clone(&SANDBOX), config), told)
}

pub(super) fn in_directory(directory: &Path) -> Arc<Registry> {
    let config = RegistryConfig {
        directory: Some(directory.to_owned()),
        ..config()
    };
    Registry::start(Arc::clone(&SANDBOX), config)
}

pub(super) fn key(name: &str) -> PolicyKey {
    ("default".to_owned(), name.to_owned())
}

pub(super) fn from(source: Source) -> Wanted {
    Wanted {
        source,
        digest: None,
        limits: Limits::default(),
        owner: 0,
        generation: 1,
    }
}

pub(super) fn bytes(bytes: &Arc<[u8]>) -> Wanted {
    from(Source::Bytes(Arc::clone(bytes)))
}

pub(super) fn file(path: &str) -> Wanted {
    from(Source::File(path.into()))
}

pub(super) fn remote(reference: &str) -> Wanted {
    from(Source::Remote(Remote {
        reference: reference.to_owned(),
        credentials: Vec::new(),
    }))
}

/// Wants this as the only policy, of the name `policy`.
pub(super) fn want(registry: &Registry, wanted: &Wanted) {
    registry.want(BTreeMap::from([(key("policy"), wanted.clone())]));
}

/// Waits for a table; how long is up to whoever runs the tests.
pub(super) async fn table(registry: &Registry, holds: impl Fn(&Table) -> bool) -> Arc<Table> {
    let mut changed = registry.changed();
    loop {
        changed.borrow_and_update();
        let table = registry.table();
        if holds(&table) {
            return table;
        }
        changed.changed().await.expect("the registry is there");
    }
}

pub(super) fn entry(registry: &Registry) -> Arc<Entry> {
    Arc::clone(&registry.table().entries[&key("policy")])
}

/// Waits for the policy `policy` to stand like this.
pub(super) async fn standing(registry: &Registry, holds: impl Fn(&Entry) -> bool) -> Arc<Entry> {
    let table = table(registry, |table| {
        table
            .entries
            .get(&key("policy"))
            .is_some_and(|it| holds(it))
    });
    Arc::clone(&table.await.entries[&key("policy")])
}

/// Waits for it to be ready with this component as its current version.
pub(super) async fn ready(registry: &Registry, component: &[u8]) -> Arc<Entry> {
    let wanted = digest(component);
    standing(registry, |entry| {
        entry.state == State::Ready && current(entry) == Some(&wanted)
    })
    .await
}

/// Waits for it to have failed for this reason, and gives the message.
pub(super) async fn failed(registry: &Registry, wanted: Reason) -> String {
    let entry = standing(
        registry,
        |entry| matches!(&entry.state, State::Failed { reason, .. } if *reason == wanted),
    );
    match &entry.await.state {
        State::Failed { message, .. } => message.clone(),
        State::Fetching | State::Ready | State::Quarantined { .. } => unreachable!(),
    }
}

pub(super) fn current(entry: &Entry) -> Option<&Digest> {
    entry.current.as_ref().map(Policy::digest)
}

pub(super) fn last_good(entry: &Entry) -> Option<&Digest> {
    entry.last_good.as_ref().map(Policy::digest)
}
