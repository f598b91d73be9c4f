//! The two utilisations between which nothing is done: the lower must be below the upper, also
//! where one of them is inherited.

use std::collections::BTreeMap;

use super::entry::{Entry, Scope};
use super::report::{Line, Verdict};
use super::saturation::{SCALE_DOWN, SCALE_UP, WvaKey};
use crate::run::config::PoolEntry;

/// What the entries for all models say, by their scope.
#[derive(Default)]
pub(super) struct Inherited(BTreeMap<Scope, Pair>);

#[derive(Clone, Copy)]
struct Pair {
    up: f64,
    down: f64,
}

impl Inherited {
    /// Takes both out again where they cannot be together.
    pub(super) fn check(&mut self, entry: &Entry, pool: &mut PoolEntry, report: &mut Vec<Line>) {
        let base = self.base(&entry.scope);
        let set = |of: WvaKey| pool.analyzer_settings.get(of.setting)?.as_f64();
        let pair = Pair {
            up: set(SCALE_UP).unwrap_or(base.up),
            down: set(SCALE_DOWN).unwrap_or(base.down),
        };
        if pair.down < pair.up {
            if entry.scope.model.is_none() {
                self.0.insert(entry.scope.clone(), pair);
            }
            return;
        }
        for of in [SCALE_UP, SCALE_DOWN] {
            if pool.analyzer_settings.remove(of.setting).is_some() {
                let problem = format!(
                    "{} is to be below {}, and they are {} and {}; expected such as 0.70 and 0.85",
                    SCALE_DOWN.name, SCALE_UP.name, pair.down, pair.up
                );
                let is_of = |line: &Line| *line == entry.line(of.name, line.verdict.clone());
                report.retain(|line| !is_of(line));
                report.push(entry.line(of.name, Verdict::Invalid(problem)));
            }
        }
    }

    fn base(&self, scope: &Scope) -> Pair {
        let namespace = Scope {
            namespace: scope.namespace.clone(),
            model: None,
        };
        let nearest = self.0.get(&namespace);
        let known = nearest.or_else(|| self.0.get(&Scope::default()));
        // The built-in analyzer's own, which are WVA's.
        known.copied().unwrap_or(Pair {
            up: 0.85,
            down: 0.70,
        })
    }
}
