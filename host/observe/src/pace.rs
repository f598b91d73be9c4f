//! Which queries a tick waits for. Those that look back far, or at every bucket of a histogram, cost
//! Prometheus most and say little that is new from tick to tick: they take turns, between ticks.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::answer::{Answer, Answers, QueryStats};
use crate::names::Topic;
use crate::queries::{Queries, Query, Windows};

/// Queries that take turns.
const TURNS: [Topic; 6] = [
    Topic::Tokens,
    Topic::Prefix,
    Topic::TtftBuckets,
    Topic::ItlBuckets,
    Topic::PickerLatency,
    Topic::PickerInFlight,
];

/// Whether the answers to such a query may be of an earlier instant than the tick.
pub(crate) fn takes_turns(topic: Topic) -> bool {
    TURNS.contains(&topic)
}

/// How many of them are asked after a tick: with the usual period none is older than 45 s.
const AT_ONCE: usize = 2;

/// Remembers the answers to queries that take turns.
#[derive(Debug)]
pub struct Pace {
    windows: Windows,
    kept: BTreeMap<Topic, Kept>,
    /// What was asked between ticks and is not told of yet.
    stats: Vec<QueryStats>,
}

#[derive(Debug)]
struct Kept {
    asked_ms: u64,
    answer: Arc<Answer>,
}

impl Pace {
    #[must_use]
    pub fn new(windows: Windows) -> Self {
        Self {
            windows,
            kept: BTreeMap::new(),
            stats: Vec::new(),
        }
    }

    /// What to ask in a tick at `now_ms`, in milliseconds since the Unix epoch: everything but
    /// what has an answer that is younger than the short window and takes turns.
    #[must_use]
    pub fn due<'q>(&self, queries: &'q Queries, now_ms: u64) -> Vec<&'q Query> {
        let longest_ms = u64::from(self.windows.short_seconds) * 1000;
        let is_fresh = |kept: &Kept| now_ms.abs_diff(kept.asked_ms) < longest_ms;
        let queries = queries.iter();
        queries
            .filter(|query| !self.kept.get(&query.topic).is_some_and(is_fresh))
            .collect()
    }

    /// What to ask after a tick: of those that take turns the ones whose answers are oldest.
    #[must_use]
    pub fn ahead<'q>(&self, queries: &'q Queries) -> Vec<&'q Query> {
        let mut kept: Vec<(u64, Topic)> = self
            .kept
            .iter()
            .map(|(topic, kept)| (kept.asked_ms, *topic))
            .collect();
        kept.sort_unstable();
        kept.truncate(AT_ONCE);
        let queries = queries.iter();
        queries
            .filter(|query| kept.iter().any(|(_, topic)| *topic == query.topic))
            .collect()
    }

    /// Keeps the answers to what was asked after a tick, at `asked_ms`, for the ticks that come.
    pub fn keep(&mut self, answers: Answers, asked_ms: u64) {
        self.remember(&answers, asked_ms);
        self.stats.extend(answers.stats);
    }

    /// Adds to the answers of a tick at `now_ms` the earlier ones to what it did not ask, and what
    /// those have cost.
    pub fn complete(&mut self, answers: &mut Answers, now_ms: u64) {
        self.remember(answers, now_ms);
        for (topic, kept) in &self.kept {
            let answer = Ok(Arc::clone(&kept.answer));
            answers.by_topic.entry(*topic).or_insert(answer);
        }
        answers.stats.append(&mut self.stats);
    }

    fn remember(&mut self, answers: &Answers, asked_ms: u64) {
        for topic in TURNS {
            match answers.by_topic.get(&topic) {
                Some(Ok(answer)) => {
                    let answer = Arc::clone(answer);
                    self.kept.insert(topic, Kept { asked_ms, answer });
                }
                Some(Err(_)) => {
                    self.kept.remove(&topic);
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::QueryError;

    fn answered(asked: &[&Query], seconds: u64, fails: &[Topic]) -> Answers {
        let answer = |query: &&Query| {
            let lost = QueryError::Deadline { seconds: 1.0 };
            let answer = if fails.contains(&query.topic) {
                Err(lost)
            } else {
                Ok(Arc::new(Answer {
                    warnings: vec![seconds.to_string()],
                    ..Answer::default()
                }))
            };
            (query.topic, answer)
        };
        let stats = |query: &&Query| QueryStats {
            topic: query.topic,
            seconds: 0.0,
            samples: 0,
            bytes: 0,
            warnings: 0,
            error: None,
            clock_behind_seconds: None,
        };
        Answers {
            by_topic: asked.iter().map(answer).collect(),
            stats: asked.iter().map(stats).collect(),
        }
    }

    /// A tick, and what is asked after it: which queries that take turns were asked in it, its
    /// answers, and which were asked afterwards.
    fn tick(
        pace: &mut Pace,
        seconds: u64,
        fail_ahead: &[Topic],
    ) -> (Vec<Topic>, Answers, Vec<Topic>) {
        let queries = Queries::new(pace.windows);
        let turns = |asked: &[&Query]| {
            let topics = asked.iter().map(|query| query.topic);
            topics.filter(|topic| TURNS.contains(topic)).collect()
        };
        let due = pace.due(&queries, seconds * 1000);
        let mut answers = answered(&due, seconds, &[]);
        pace.complete(&mut answers, seconds * 1000);
        let ahead = pace.ahead(&queries);
        pace.keep(answered(&ahead, seconds, fail_ahead), seconds * 1000 + 500);
        (turns(&due), answers, turns(&ahead))
    }

    #[test]
    fn dear_queries_take_turns_between_ticks_and_are_all_answered() {
        let mut pace = Pace::new(Windows::default());
        let [tokens, prefix, ttft, itl, picker, in_flight] = TURNS;
        assert_eq!(tick(&mut pace, 0, &[]).0, TURNS);
        for (seconds, turn, oldest) in [
            (15, [ttft, itl], "0"),
            (30, [picker, in_flight], "0"),
            (45, [tokens, prefix], "0"),
            (60, [ttft, itl], "15"),
        ] {
            let (asked, answers, ahead) = tick(&mut pace, seconds, &[]);
            assert!(asked.is_empty(), "{asked:?} at {seconds} s");
            assert_eq!(ahead, turn, "after {seconds} s");
            assert_eq!(answers.by_topic.len(), Topic::ALL.len());
            assert_eq!(
                answers.of(Topic::Load).unwrap().warnings,
                [seconds.to_string()]
            );
            let ages = TURNS.map(|topic| answers.of(topic).unwrap().warnings[0].clone());
            assert_eq!(ages.iter().min().map(String::as_str), Some(oldest));
        }
    }

    #[test]
    fn an_answer_older_than_the_window_is_waited_for() {
        let mut pace = Pace::new(Windows::default());
        tick(&mut pace, 0, &[]);
        assert_eq!(tick(&mut pace, 61, &[]).0, TURNS);
    }

    #[test]
    fn a_query_that_failed_between_ticks_is_asked_again_in_the_next() {
        let mut pace = Pace::new(Windows::default());
        let (.., ahead) = tick(&mut pace, 0, &[Topic::Tokens]);
        assert!(ahead.contains(&Topic::Tokens), "{ahead:?}");
        let (asked, answers, _) = tick(&mut pace, 15, &[]);
        assert_eq!(asked, [Topic::Tokens]);
        assert_eq!(answers.of(Topic::Tokens).unwrap().warnings, ["15"]);
    }

    #[test]
    fn a_query_that_fails_in_a_tick_has_no_old_answer() {
        let mut pace = Pace::new(Windows::default());
        tick(&mut pace, 0, &[]);
        let queries = Queries::new(pace.windows);
        let due = pace.due(&queries, 61_000);
        let mut answers = answered(&due, 61, &[Topic::Tokens]);
        pace.complete(&mut answers, 61_000);
        assert!(answers.of(Topic::Tokens).is_none());
        assert!(pace.due(&queries, 75_000).len() < due.len());
    }

    #[test]
    fn every_query_is_told_of_once() {
        let mut pace = Pace::new(Windows::default());
        let told = |answers: &Answers| answers.stats.len();
        let (_, answers, _) = tick(&mut pace, 0, &[]);
        assert_eq!(told(&answers), Topic::ALL.len());
        let (_, answers, _) = tick(&mut pace, 15, &[]);
        assert_eq!(told(&answers), Topic::ALL.len() - TURNS.len() + AT_ONCE);
    }
}
