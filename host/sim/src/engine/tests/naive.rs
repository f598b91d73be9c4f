//! The same engine written a second time, the slow and plain way: every iteration, every sequence,
//! every block by itself, in the order in which vLLM's scheduler goes through them.

use std::collections::VecDeque;

use crate::engine::Limits;
use crate::spec::Arrival;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Times {
    pub(super) first_token: Vec<f64>,
    pub(super) finished: Vec<f64>,
    pub(super) preemptions: u64,
    /// Sum and number of all gaps between successive tokens.
    pub(super) gaps: (f64, u64),
    pub(super) prefix_hits: u64,
}

#[derive(Clone, Debug)]
struct Item {
    request: usize,
    input: usize,
    output: usize,
    produced: usize,
    computed: usize,
    /// Prompt and answer so far, which have to be computed before the next token.
    target: usize,
    prefix: Vec<u32>,
    last_token: f64,
}

struct Naive {
    limits: Limits,
    running: Vec<Item>,
    waiting: VecDeque<Item>,
    /// Prefix blocks without a user, oldest first.
    idle: Vec<u32>,
    now: f64,
    times: Times,
}

/// Runs all arrivals to their end.
pub(super) fn naive(limits: Limits, arrivals: &[Arrival]) -> Times {
    let mut engine = Naive {
        limits,
        running: Vec::new(),
        waiting: VecDeque::new(),
        idle: Vec::new(),
        now: 0.0,
        times: Times {
            first_token: vec![f64::NAN; arrivals.len()],
            finished: vec![f64::NAN; arrivals.len()],
            ..Times::default()
        },
    };
    let mut coming = arrivals.iter().enumerate().peekable();
    loop {
        if engine.running.is_empty() && engine.waiting.is_empty() {
            let Some((_, next)) = coming.peek() else {
                return engine.times;
            };
            engine.now = engine.now.max(next.at_seconds);
        }
        while let Some((request, arrival)) =
            coming.next_if(|(_, arrival)| arrival.at_seconds <= engine.now)
        {
            engine.arrive(request, arrival);
        }
        engine.iterate();
    }
}

impl Naive {
    fn arrive(&mut self, request: usize, arrival: &Arrival) {
        let input = arrival.input_tokens as usize;
        self.waiting.push_back(Item {
            request,
            input,
            output: arrival.output_tokens as usize,
            produced: 0,
            computed: 0,
            target: input,
            prefix: arrival
                .prefix_blocks
                .iter()
                .take(input / 512)
                .copied()
                .collect(),
            last_token: f64::NAN,
        });
    }

    /// Blocks that the running sequences hold; those of shared prefixes once.
    fn used_blocks(&self) -> usize {
        let size = self.limits.block_size as usize;
        let own =
            |item: &Item| (item.computed.max(item.target) - item.prefix.len() * 512).div_ceil(size);
        let mut shared: Vec<u32> = self
            .running
            .iter()
            .flat_map(|item| item.prefix.clone())
            .collect();
        shared.sort_unstable();
        shared.dedup();
        self.running.iter().map(own).sum::<usize>() + shared.len() * 512 / size
    }

    fn is_used(&self, id: u32) -> bool {
        self.running.iter().any(|item| item.prefix.contains(&id))
    }

    fn overfull(&self) -> bool {
        self.used_blocks() > self.limits.blocks as usize
    }

    fn leave(&mut self, item: &Item) {
        for id in item.prefix.iter().rev() {
            if !self.is_used(*id) && !self.idle.contains(id) {
                self.idle.push(*id);
            }
        }
        self.evict();
    }

    fn evict(&mut self) {
        let size = self.limits.block_size as usize;
        let free =
            self.limits.blocks as usize - self.used_blocks().min(self.limits.blocks as usize);
        while self.idle.len() * 512 / size > free {
            self.idle.remove(0);
        }
    }

    fn iterate(&mut self) {
        let mut budget = self.limits.max_batched_tokens as usize;
        let mut scheduled = vec![];
        let mut preempted = false;
        let mut index = 0;
        // Running sequences first, in order; whoever finds no block makes the last one leave.
        while index < self.running.len() {
            let item = &self.running[index];
            let answering = item.computed >= item.target && item.produced > 0;
            let tokens = if answering {
                1
            } else {
                (item.target - item.computed).min(budget)
            };
            if answering {
                self.running[index].target += 1;
                let mut gone = false;
                while self.overfull() {
                    let last = self.running.len() - 1;
                    if last == index {
                        self.running[index].target -= 1;
                    }
                    let mut item = self.running.pop().unwrap();
                    if item.last_token.is_nan() || item.produced == 0 {
                        item.target = item.input;
                    } else {
                        item.target = item.input + item.produced;
                    }
                    item.computed = 0;
                    self.leave(&item);
                    self.waiting.push_front(item);
                    self.times.preemptions += 1;
                    preempted = true;
                    if last == index {
                        gone = true;
                        break;
                    }
                }
                if gone {
                    break;
                }
            }
            scheduled.push(tokens);
            budget -= tokens;
            index += 1;
        }
        scheduled.truncate(self.running.len());
        self.evict();
        while !preempted && budget > 0 && (self.running.len() as u64) < self.limits.max_sequences {
            let Some(mut item) = self.waiting.front().cloned() else {
                break;
            };
            let cached = item
                .prefix
                .iter()
                .take_while(|id| self.is_used(**id) || self.idle.contains(id))
                .count();
            let cached = (cached * 512).min(item.target - 1);
            let left = item.target - cached;
            if left > budget && !self.limits.chunked_prefill {
                break;
            }
            item.computed = cached;
            self.running.push(item.clone());
            if self.overfull() {
                self.running.pop();
                break;
            }
            self.waiting.pop_front();
            if item.produced == 0 {
                self.times.prefix_hits += cached as u64;
            }
            self.idle.retain(|id| !item.prefix.contains(id));
            self.evict();
            scheduled.push(left.min(budget));
            budget -= left.min(budget);
        }
        self.compute(&scheduled);
    }

    fn compute(&mut self, scheduled: &[usize]) {
        assert_eq!(scheduled.len(), self.running.len());
        for (item, tokens) in self.running.iter_mut().zip(scheduled) {
            item.computed += tokens;
        }
        let time = self.limits.iteration;
        let computed: usize = scheduled.iter().sum();
        let held: usize = self.running.iter().map(|item| item.computed).sum();
        assert!(computed > 0, "an iteration computes something");
        self.now += time.base_seconds
            + time.per_token_seconds * computed as f64
            + time.per_kv_token_seconds * held as f64;
        let mut ended = vec![];
        for (index, item) in self.running.iter_mut().enumerate() {
            if item.computed < item.target {
                continue;
            }
            item.produced += 1;
            if item.produced == 1 {
                self.times.first_token[item.request] = self.now;
            } else {
                self.times.gaps.0 += self.now - item.last_token;
                self.times.gaps.1 += 1;
            }
            item.last_token = self.now;
            if item.produced == item.output {
                self.times.finished[item.request] = self.now;
                ended.push(index);
            }
        }
        for index in (0..ended.len()).rev() {
            ended[index] -= index;
        }
        for index in ended {
            let item = self.running.remove(index);
            self.leave(&item);
        }
    }
}
