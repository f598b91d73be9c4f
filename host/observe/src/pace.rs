//! Which queries a tick asks. Those that look back far, or at every bucket of a histogram, cost
//! Prometheus most and say little that is new from tick to tick: they take turns.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::answer::{Answer, Answers};
use crate::names::Topic;
use crate::queries::{Queries, Query, Windows};

/// Queries that take turns.
const TURNS: [Topic; 5] = [
    Topic::Tokens,
    Topic::Prefix,
    Topic::TtftBuckets,
    Topic::ItlBuckets,
    Topic::PickerLatency,
];

/// How many of them a tick asks: with the usual period each has its turn within 45 s.
const AT_ONCE: usize = 2;

/// Remembers the answers to queries that take turns.
#[derive(Debug)]
pub struct Pace {
    windows: Windows,
    kept: BTreeMap<Topic, Kept>,
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
        }
    }

    /// What to ask now, `now_ms` milliseconds after the Unix epoch: everything that is asked in
    /// each tick, whatever has no answer or one older than the short window, and those of the rest
    /// whose turn it is.
    #[must_use]
    pub fn due<'q>(&self, queries: &'q Queries, now_ms: u64) -> Vec<&'q Query> {
        let longest_ms = u64::from(self.windows.short_seconds) * 1000;
        let mut kept: Vec<(u64, Topic)> = self
            .kept
            .iter()
            .map(|(topic, kept)| (kept.asked_ms, *topic))
            .filter(|(asked_ms, _)| now_ms.abs_diff(*asked_ms) < longest_ms)
            .collect();
        kept.sort_unstable();
        let waiting: Vec<Topic> = kept.iter().skip(AT_ONCE).map(|(_, topic)| *topic).collect();
        let due = queries.iter();
        due.filter(|query| !waiting.contains(&query.topic))
            .collect()
    }

    /// Adds to the answers of a tick those of earlier ones to what was not asked in it.
    pub fn complete(&mut self, answers: &mut Answers, now_ms: u64) {
        for topic in TURNS {
            match answers.by_topic.get(&topic) {
                Some(Ok(answer)) => {
                    let answer = Arc::clone(answer);
                    let asked_ms = now_ms;
                    self.kept.insert(topic, Kept { asked_ms, answer });
                }
                Some(Err(_)) => {
                    self.kept.remove(&topic);
                }
                None => {
                    if let Some(kept) = self.kept.get(&topic) {
                        let answer = Arc::clone(&kept.answer);
                        answers.by_topic.insert(topic, Ok(answer));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::QueryError;

    /// One tick, in which all queries are answered but those that fail; those that were asked and
    /// take turns.
    fn tick(pace: &mut Pace, seconds: u64, fails: &[Topic]) -> (Vec<Topic>, Answers) {
        let queries = Queries::new(pace.windows);
        let asked = pace.due(&queries, seconds * 1000);
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
        let mut answers = Answers {
            by_topic: asked.iter().map(answer).collect(),
            stats: Vec::new(),
        };
        pace.complete(&mut answers, seconds * 1000);
        let asked = asked.iter().map(|query| query.topic);
        let turns = asked.filter(|topic| TURNS.contains(topic)).collect();
        (turns, answers)
    }

    #[test]
    fn dear_queries_take_turns_and_are_all_answered() {
        let mut pace = Pace::new(Windows::default());
        assert_eq!(tick(&mut pace, 0, &[]).0, TURNS);
        let [tokens, prefix, ttft, itl, picker] = TURNS;
        for (seconds, turn) in [
            (15, [tokens, prefix]),
            (30, [ttft, itl]),
            (45, [tokens, picker]),
            (60, [prefix, ttft]),
        ] {
            let (asked, answers) = tick(&mut pace, seconds, &[]);
            assert_eq!(asked, turn, "at {seconds} s");
            assert_eq!(answers.by_topic.len(), Topic::ALL.len());
            for topic in [Topic::Load, turn[0], turn[1]] {
                let answer = answers.of(topic).unwrap();
                assert_eq!(answer.warnings, [seconds.to_string()]);
            }
        }
    }

    #[test]
    fn an_answer_older_than_the_window_is_asked_for_again() {
        let mut pace = Pace::new(Windows::default());
        tick(&mut pace, 0, &[]);
        assert_eq!(tick(&mut pace, 60, &[]).0, TURNS);
    }

    #[test]
    fn a_query_that_failed_is_asked_again_and_has_no_old_answer() {
        let mut pace = Pace::new(Windows::default());
        tick(&mut pace, 0, &[]);
        let (_, answers) = tick(&mut pace, 15, &[Topic::Tokens]);
        assert!(answers.of(Topic::Tokens).is_none());
        let (asked, answers) = tick(&mut pace, 30, &[]);
        assert!(asked.contains(&Topic::Tokens), "{asked:?}");
        assert!(answers.of(Topic::Tokens).is_some());
    }
}
