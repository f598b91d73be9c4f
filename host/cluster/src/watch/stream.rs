//! One watch, followed for ever: lists, changes, breaks, and lists again.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::core::ApiResource;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{Error, Event};
use tokio::sync::Notify;

use super::Cluster;
use crate::index::{Index, Key, key};
use crate::refusal::{explained, with_cause};

/// A kind that was there answers "not found" while an API server starts up: only this many such
/// answers in a row, over about a minute, mean that it is gone.
const GONE_AFTER: u32 = 6;

/// Between an answer that a watch has expired and the next list.
const RELIST_PAUSE: Duration = Duration::from_secs(1);

/// What a watch needs.
const RIGHTS: &str = "`list` and `watch` of it";

/// What the index does with an object that came, and with one that went.
pub(super) struct Handlers<K> {
    apply: Apply<K>,
    delete: Delete,
}

type Apply<K> = Arc<dyn Fn(&mut Index, K) + Send + Sync>;
type Delete = Arc<dyn Fn(&mut Index, &Key) + Send + Sync>;

impl<K> Clone for Handlers<K> {
    fn clone(&self) -> Self {
        Self {
            apply: Arc::clone(&self.apply),
            delete: Arc::clone(&self.delete),
        }
    }
}

impl<K> Handlers<K> {
    pub(super) fn new(
        apply: impl Fn(&mut Index, K) + Send + Sync + 'static,
        delete: impl Fn(&mut Index, &Key) + Send + Sync + 'static,
    ) -> Self {
        Self {
            apply: Arc::new(apply),
            delete: Arc::new(delete),
        }
    }
}

/// Feeds the index from streams that `open` opens; a word from `relist` opens the next one.
pub(super) async fn follow<K, S>(
    cluster: &Cluster,
    (kind, resource): (&str, &ApiResource),
    open: impl Fn() -> S,
    handlers: Handlers<K>,
    relist: Option<&Notify>,
) where
    K: kube::Resource,
    S: Stream<Item = Result<Event<K>, Error>> + Send,
{
    let mut follower = Follower {
        cluster,
        kind,
        handlers,
        known: BTreeSet::new(),
        listed: BTreeSet::new(),
        not_found: 0,
    };
    loop {
        let mut stream = pin!(open().default_backoff());
        loop {
            let asked_to_relist = async {
                match relist {
                    Some(relist) => relist.notified().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = stream.next() => match event {
                    Some(Ok(event)) => follower.take(event),
                    Some(Err(error)) => {
                        let forbidden = code(&error) == Some(403);
                        if forbidden && !cluster.serves(resource).await {
                            follower.miss();
                            continue;
                        }
                        follower.fail(&error);
                        // The stream itself would ask for the same watch for ever.
                        if code(&error) == Some(410) {
                            tokio::time::sleep(RELIST_PAUSE).await;
                            break;
                        }
                    }
                    None => break,
                },
                () = asked_to_relist => break,
            }
        }
    }
}

struct Follower<'a, K> {
    cluster: &'a Cluster,
    kind: &'a str,
    handlers: Handlers<K>,
    /// Objects that the index was given.
    known: BTreeSet<Key>,
    /// Those of them that the list which is coming in has had so far.
    listed: BTreeSet<Key>,
    not_found: u32,
}

impl<K: kube::Resource> Follower<'_, K> {
    fn take(&mut self, event: Event<K>) {
        match event {
            Event::Init => self.listed.clear(),
            Event::InitApply(object) => {
                self.listed.insert(key(object.meta()));
                self.apply(object);
            }
            Event::InitDone => {
                let gone: Vec<Key> = self.known.difference(&self.listed).cloned().collect();
                gone.iter().for_each(|key| self.delete(key));
                self.listed.clear();
                self.not_found = 0;
                self.cluster.note(self.kind, |state| {
                    state.synced = true;
                    state.absent = false;
                    state.error = None;
                });
                tracing::debug!(kind = self.kind, objects = self.known.len(), "listed");
            }
            Event::Apply(object) => self.apply(object),
            Event::Delete(object) => self.delete(&key(object.meta())),
        }
    }

    fn apply(&mut self, object: K) {
        self.known.insert(key(object.meta()));
        (self.handlers.apply)(&mut self.cluster.index(), object);
    }

    fn delete(&mut self, key: &Key) {
        self.known.remove(key);
        (self.handlers.delete)(&mut self.cluster.index(), key);
    }

    fn fail(&mut self, error: &Error) {
        if code(error) == Some(404) {
            return self.miss();
        }
        self.not_found = 0;
        let message =
            asked(error).map_or_else(|| with_cause(error), |refused| explained(refused, RIGHTS));
        self.cluster.note(self.kind, |state| {
            if state.error.as_ref() != Some(&message) {
                let error = &message;
                tracing::warn!(kind = self.kind, error, "watch failed; trying again");
            }
            state.error = Some(message);
        });
    }

    /// There is no such kind.
    fn miss(&mut self) {
        self.not_found += 1;
        if self.not_found >= GONE_AFTER && !self.known.is_empty() {
            tracing::warn!(
                kind = self.kind,
                "the kind is gone, and its objects with it"
            );
            for key in std::mem::take(&mut self.known) {
                self.delete(&key);
            }
        }
        self.cluster.note(self.kind, |state| {
            state.absent = true;
            state.error = None;
        });
    }
}

/// With which code the API server refused a list or a watch.
fn code(error: &Error) -> Option<u16> {
    if let kube::Error::Api(status) = asked(error)? {
        Some(status.code)
    } else {
        None
    }
}

/// What became of the request for a list or a watch.
fn asked(error: &Error) -> Option<&kube::Error> {
    if let Error::InitialListFailed(error) | Error::WatchStartFailed(error) = error {
        Some(error)
    } else {
        None
    }
}
