//! What is still to happen, in order of time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Something that happens at an instant. Of several at the same instant, the order here decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The next request of a pool arrives.
    Arrival {
        pool: usize,
    },
    /// A prompt's KV cache has come across.
    HandedOver {
        replica: usize,
        slot: u32,
        request: u32,
    },
    /// A replica's start-up is over.
    Started {
        replica: usize,
    },
    /// A fault of the spec, by position.
    Fault {
        fault: usize,
    },
    /// A replica's engine ends its stride; stale where `version` has moved on.
    Boundary {
        replica: usize,
        version: u32,
    },
    ScrapeReplica {
        replica: usize,
    },
    ScrapeRouter {
        pool: usize,
    },
    /// The HPA looks at the desired counts.
    Sync,
    /// The controller decides.
    Tick,
}

impl Event {
    const fn rank(&self) -> u8 {
        match self {
            Self::Arrival { .. } => 0,
            Self::HandedOver { .. } => 1,
            Self::Started { .. } => 2,
            Self::Fault { .. } => 3,
            Self::Boundary { .. } => 4,
            Self::ScrapeReplica { .. } => 5,
            Self::ScrapeRouter { .. } => 6,
            Self::Sync => 7,
            Self::Tick => 8,
        }
    }
}

/// Events by time, then kind, then the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Events {
    heap: BinaryHeap<Reverse<Entry>>,
    added: u64,
}

impl Events {
    pub(crate) fn add(&mut self, at: f64, event: Event) {
        let entry = Entry {
            at,
            rank: event.rank(),
            sequence: self.added,
            event,
        };
        self.added += 1;
        self.heap.push(Reverse(entry));
    }

    /// When the next event is.
    pub(crate) fn next_at(&self) -> Option<f64> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    pub(crate) fn take(&mut self) -> Option<(f64, Event)> {
        self.heap
            .pop()
            .map(|Reverse(entry)| (entry.at, entry.event))
    }
}

#[derive(Debug)]
struct Entry {
    at: f64,
    rank: u8,
    sequence: u64,
    event: Event,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        let time = self.at.total_cmp(&other.at);
        time.then_with(|| (self.rank, self.sequence).cmp(&(other.rank, other.sequence)))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_then_kind_then_order_of_adding_decides() {
        let mut events = Events::default();
        events.add(2.0, Event::Tick);
        events.add(1.0, Event::Tick);
        events.add(1.0, Event::Sync);
        events.add(1.0, Event::Started { replica: 2 });
        events.add(1.0, Event::Started { replica: 1 });
        let order: Vec<Event> =
            std::iter::from_fn(|| events.take().map(|(_, event)| event)).collect();
        let expected = [
            Event::Started { replica: 2 },
            Event::Started { replica: 1 },
            Event::Sync,
            Event::Tick,
            Event::Tick,
        ];
        assert_eq!(order, expected);
    }
}
