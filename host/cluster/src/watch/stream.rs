//! One watch, followed for ever: lists, changes, breaks, and lists again.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use kube::core::ApiResource;
use kube::runtime::watcher::{Error, Event};
use tokio::sync::watch::Receiver;
use tokio::time::Instant;

use super::{Cluster, WatchState};
use crate::index::{Index, Key, key};
use crate::refusal::{explained, with_cause};

/// A kind that was there answers "not found" while an API server starts up: only this many such
/// answers in a row, over about a minute, mean that it is gone.
const GONE_AFTER: u32 = 6;

/// After a failure, and after many in a row. What comes back is to be seen before long, and what is not
/// there is not to be asked for all the time.
const FIRST_PAUSE: Duration = Duration::from_millis(800);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A watch that went well for so long begins with the first pause again.
const WENT_WELL: Duration = Duration::from_secs(30);

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

/// Of which kind, and where.
pub(super) struct Watch {
    pub(super) cluster: Cluster,
    pub(super) kind: String,
    /// Empty for all of them.
    pub(super) namespace: String,
    pub(super) resource: ApiResource,
}

/// Feeds the index from streams that `open` opens; a word from `relist` opens the next one.
pub(super) async fn follow<K, S>(
    watch: Watch,
    open: impl Fn() -> S,
    handlers: Handlers<K>,
    mut relist: Option<Receiver<u64>>,
) where
    K: kube::Resource,
    S: Stream<Item = Result<Event<K>, Error>> + Send,
{
    let mut follower = Follower {
        watch,
        handlers,
        known: BTreeSet::new(),
        listed: BTreeSet::new(),
        is_listing: false,
        not_found: 0,
        failed: None,
    };
    loop {
        let mut stream = pin!(open());
        loop {
            let asked_to_relist = async {
                // A word that comes while nobody waits for it is kept.
                let told = match &mut relist {
                    Some(relist) => relist.changed().await.is_ok(),
                    None => false,
                };
                if !told {
                    std::future::pending().await
                }
            };
            tokio::select! {
                event = stream.next() => match event {
                    Some(Ok(event)) => follower.take(event),
                    Some(Err(error)) => {
                        if follower.fail(&error).await {
                            break;
                        }
                    }
                    None => break,
                },
                // A list that comes in is not given up, or none would end where words come fast.
                () = asked_to_relist, if !follower.is_listing => break,
            }
        }
    }
}

struct Follower<K> {
    watch: Watch,
    handlers: Handlers<K>,
    /// Objects that the index was given.
    known: BTreeSet<Key>,
    /// Those of them that the list which is coming in has had so far.
    listed: BTreeSet<Key>,
    is_listing: bool,
    not_found: u32,
    /// When it failed last, and the pause after that.
    failed: Option<(Instant, Duration)>,
}

impl<K: kube::Resource> Follower<K> {
    fn take(&mut self, event: Event<K>) {
        match event {
            Event::Init => {
                self.is_listing = true;
                self.listed.clear();
            }
            Event::InitApply(object) => {
                self.listed.insert(key(object.meta()));
                self.apply(object);
            }
            Event::InitDone => {
                let gone: Vec<Key> = self.known.difference(&self.listed).cloned().collect();
                gone.iter().for_each(|key| self.delete(key));
                self.is_listing = false;
                self.failed = None;
                self.listed.clear();
                self.not_found = 0;
                self.note(|state| {
                    state.synced = true;
                    state.absent = false;
                    state.error = None;
                });
                let (kind, objects) = (&self.watch.kind, self.known.len());
                tracing::debug!(kind, objects, "listed");
            }
            Event::Apply(object) => self.apply(object),
            Event::Delete(object) => self.delete(&key(object.meta())),
        }
    }

    fn apply(&mut self, object: K) {
        self.not_found = 0;
        self.known.insert(key(object.meta()));
        (self.handlers.apply)(&mut self.watch.cluster.index(), object);
    }

    fn delete(&mut self, key: &Key) {
        self.known.remove(key);
        (self.handlers.delete)(&mut self.watch.cluster.index(), key);
    }

    fn note(&self, change: impl FnOnce(&mut WatchState)) {
        let Watch {
            cluster,
            kind,
            namespace,
            ..
        } = &self.watch;
        cluster.note((kind, namespace), change);
    }

    /// Pauses, and tells whether the stream is of no more use: it would ask for the same watch for
    /// ever.
    async fn fail(&mut self, error: &Error) -> bool {
        let is_over = self.note_failure(error).await;
        let pause = match self.failed {
            Some((at, pause)) if at.elapsed() < pause + WENT_WELL => pause * 2,
            _ => FIRST_PAUSE,
        };
        let pause = pause.min(LONGEST_PAUSE);
        self.failed = Some((Instant::now(), pause));
        tokio::time::sleep(pause).await;
        is_over
    }

    async fn note_failure(&mut self, error: &Error) -> bool {
        let Watch {
            cluster, resource, ..
        } = &self.watch;
        let forbidden = code(error) == Some(403);
        if code(error) == Some(404) || (forbidden && !cluster.serves(resource).await) {
            return self.miss();
        }
        self.not_found = 0;
        let message =
            asked(error).map_or_else(|| with_cause(error), |refused| explained(refused, RIGHTS));
        let Watch {
            kind, namespace, ..
        } = &self.watch;
        self.note(|state| {
            if state.error.as_ref() != Some(&message) {
                let error = &message;
                tracing::warn!(kind, namespace, error, "watch failed; trying again");
            }
            state.error = Some(message);
        });
        code(error) == Some(410)
    }

    /// There is no such kind. Tells whether its objects went: were it to come back, a watch of
    /// before would not list them again.
    fn miss(&mut self) -> bool {
        self.not_found += 1;
        self.note(|state| {
            state.absent = true;
            state.error = None;
        });
        let gone = self.not_found >= GONE_AFTER && !self.known.is_empty();
        if gone {
            let kind = &self.watch.kind;
            tracing::warn!(kind, "the kind is gone, and its objects with it");
            for key in std::mem::take(&mut self.known) {
                self.delete(&key);
            }
        }
        gone
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

#[cfg(test)]
mod tests;
