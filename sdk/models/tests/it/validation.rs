//! The table that holds the model against the simulation: requests of one kind on one replica, at
//! shares of the rate that the model sizes for a card's targets.

use std::fmt;

use trimtab_models::plain::PlainReplica;
use trimtab_models::{Batch, Iteration, Lengths, Replica, Role, Spread, Tail, Targets, size};

use crate::simulator::{Engine, Seen, arrivals, serve};

pub(crate) struct Card {
    pub(crate) name: &'static str,
    pub(crate) iteration: Iteration,
    pub(crate) targets: Targets,
}

pub(crate) const CARDS: [Card; 2] = [
    Card {
        name: "fast",
        iteration: Iteration {
            base_seconds: 6e-3,
            token_seconds: 32e-6,
            kv_token_seconds: 0.05e-6,
        },
        targets: Targets {
            ttft_seconds: Some(1.0),
            itl_seconds: Some(0.05),
            percentile: 0.99,
        },
    },
    Card {
        name: "slow",
        iteration: Iteration {
            base_seconds: 23e-3,
            token_seconds: 90e-6,
            kv_token_seconds: 0.19e-6,
        },
        targets: Targets {
            ttft_seconds: Some(2.0),
            itl_seconds: Some(0.1),
            percentile: 0.99,
        },
    },
];

pub(crate) const BATCH: Batch = Batch {
    max_sequences: 256,
    max_batched_tokens: 8192,
    kv_capacity_tokens: None,
    max_waiting: 2560,
};

/// Mean lengths of prompt and answer.
pub(crate) const LENGTHS: [(f64, f64); 5] = [
    (512.0, 200.0),
    (1155.0, 211.0),
    (200.0, 1000.0),
    (4096.0, 256.0),
    (2048.0, 28.0),
];

pub(crate) const SHARES: [f64; 4] = [0.2, 0.4, 0.6, 0.8];

/// One line: the simulation's figures in seconds, and by what share the model's exceed them.
pub(crate) struct Row {
    pub(crate) card: &'static str,
    pub(crate) lengths: Lengths,
    pub(crate) share: f64,
    pub(crate) rate: f64,
    pub(crate) itl: f64,
    pub(crate) ttft: f64,
    pub(crate) itl_at_p99: f64,
    pub(crate) ttft_at_p99: f64,
    pub(crate) itl_error: f64,
    pub(crate) ttft_error: f64,
    pub(crate) itl_at_p99_error: f64,
    pub(crate) ttft_at_p99_error: f64,
    /// The same of WVA's model.
    pub(crate) plain_itl_error: f64,
    pub(crate) plain_ttft_error: f64,
}

/// Times in ms, errors in per cent.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| 100.0 * share;
        write!(
            f,
            "{:4} {:4}/{:<4}  {:4.0} % {:7.2} | {:6.1} {:+4.0} {:+5.0}  | {:6.0} {:+4.0} {:+5.0}  | \
             {:7.1} {:+4.0} | {:8.0} {:+4.0}",
            self.card,
            self.lengths.input_tokens,
            self.lengths.output_tokens,
            percent(self.share),
            self.rate,
            1e3 * self.itl,
            percent(self.itl_error),
            percent(self.plain_itl_error),
            1e3 * self.ttft,
            percent(self.ttft_error),
            percent(self.plain_ttft_error),
            1e3 * self.itl_at_p99,
            percent(self.itl_at_p99_error),
            1e3 * self.ttft_at_p99,
            percent(self.ttft_at_p99_error),
        )
    }
}

/// All lines with fixed lengths, or with lengths that vary as in conversations.
pub(crate) fn rows(spread: Spread, requests: f64) -> Vec<Row> {
    let mut rows = Vec::new();
    for card in &CARDS {
        for (input, output) in LENGTHS {
            let lengths = Lengths::new(input, output).with_spread(spread);
            rows.extend(SHARES.map(|share| row(card, lengths, share, requests)));
        }
    }
    rows
}

fn row(card: &Card, lengths: Lengths, share: f64, requests: f64) -> Row {
    let replica = Replica::new(card.iteration, lengths, BATCH).expect("valid");
    let sized = size(&replica, &card.targets, &Tail::prior(), None).expect("reachable");
    let rate = share * sized.rate;
    let engine = Engine {
        role: Role::Both,
        iteration: card.iteration,
        batch: BATCH,
    };
    let seen = Seen::of(&serve(
        &engine,
        &arrivals(1, &lengths, requests / rate, |_| rate),
    ));
    let operation = replica.at(rate).expect("below the largest");
    let quantiles = Tail::prior().quantiles(&replica, &operation, 0.99);
    let plain = PlainReplica::new(
        card.iteration,
        lengths,
        BATCH.max_sequences,
        BATCH.max_waiting,
    )
    .expect("valid")
    .at(rate)
    .expect("below the largest");
    let off = |model: f64, seen: f64| model / seen - 1.0;
    Row {
        card: card.name,
        lengths,
        share,
        rate,
        itl: seen.itl,
        ttft: seen.ttft(),
        itl_at_p99: seen.itl_at(0.99),
        ttft_at_p99: seen.ttft_at(0.99),
        itl_error: off(operation.itl_seconds, seen.itl),
        ttft_error: off(operation.ttft_seconds, seen.ttft()),
        itl_at_p99_error: off(quantiles.itl_seconds, seen.itl_at(0.99)),
        ttft_at_p99_error: off(quantiles.ttft_seconds, seen.ttft_at(0.99)),
        plain_itl_error: off(plain.itl, seen.itl),
        plain_ttft_error: off(plain.ttft, seen.ttft()),
    }
}
