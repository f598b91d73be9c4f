//! What pods answer instead of what is behind them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Something else than a pod's own metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This text, as metrics.
    Text(String),
    /// 500, as of a server that has failed.
    Error,
    /// 200 with a page for people, as of a proxy in the way.
    Html,
    /// Nothing, for ever: whoever asks has to give up.
    Hang,
    /// 200 without a line.
    Empty,
}

/// By namespace and pod.
#[derive(Debug, Default)]
pub(super) struct Answers(Mutex<HashMap<(String, String), Answer>>);

impl Answers {
    pub(super) fn set(&self, namespace: &str, pod: &str, answer: Answer) {
        self.lock().insert(key(namespace, pod), answer);
    }

    pub(super) fn restore(&self, namespace: &str, pod: &str) {
        self.lock().remove(&key(namespace, pod));
    }

    pub(super) fn get(&self, namespace: &str, pod: &str) -> Option<Answer> {
        self.lock().get(&key(namespace, pod)).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Answer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(namespace: &str, pod: &str) -> (String, String) {
    (namespace.to_owned(), pod.to_owned())
}
