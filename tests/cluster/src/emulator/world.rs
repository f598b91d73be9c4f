//! The thread in which the simulated world lives: it goes on with the clock, and does what it is
//! told in between.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;
use trimtab_sim::generate::Lengths;
use trimtab_sim::live::{Arena, EngineReading, Live, PickerReading};
use trimtab_sim::spec::Spec;

/// Longest time for which the world stands still when nobody asks: it keeps the work of one step
/// small.
const STEP: Duration = Duration::from_millis(20);

/// Something to do in the world, or to read from it.
#[derive(Debug)]
pub(super) enum Order {
    Rate {
        pool: usize,
        per_second: f64,
    },
    Lengths {
        pool: usize,
        input: Lengths,
        output: Lengths,
    },
    Replicas {
        pool: usize,
        variant: usize,
        names: BTreeSet<String>,
    },
    ReadEngine {
        pool: usize,
        variant: usize,
        name: String,
        answer: oneshot::Sender<Option<EngineReading>>,
    },
    ReadPicker {
        pool: usize,
        answer: oneshot::Sender<Option<PickerReading>>,
    },
}

/// A handle of the world, which ends with its last handle.
#[derive(Clone, Debug)]
pub(super) struct World {
    orders: Sender<Order>,
    spec: std::sync::Arc<Spec>,
}

impl World {
    pub(super) fn start(spec: Spec) -> Self {
        let spec = std::sync::Arc::new(spec);
        let (orders, received) = mpsc::channel();
        let of_world = spec.clone();
        std::thread::spawn(move || run(&of_world, &received));
        Self { orders, spec }
    }

    pub(super) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The world lives as long as this handle does.
    pub(super) fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    pub(super) async fn engine(
        &self,
        pool: usize,
        variant: usize,
        name: &str,
    ) -> Option<EngineReading> {
        let (answer, answered) = oneshot::channel();
        self.order(Order::ReadEngine {
            pool,
            variant,
            name: name.to_owned(),
            answer,
        });
        answered.await.ok()?
    }

    pub(super) async fn picker(&self, pool: usize) -> Option<PickerReading> {
        let (answer, answered) = oneshot::channel();
        self.order(Order::ReadPicker { pool, answer });
        answered.await.ok()?
    }
}

fn run(spec: &Spec, orders: &mpsc::Receiver<Order>) {
    let arena = Arena::default();
    let mut live = Live::new(spec, &arena);
    let start = Instant::now();
    loop {
        let order = orders.recv_timeout(STEP);
        live.advance(start.elapsed().as_secs_f64());
        match order {
            Ok(order) => obey(&mut live, order),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn obey(live: &mut Live<'_>, order: Order) {
    match order {
        Order::Rate { pool, per_second } => live.set_rate(pool, per_second),
        Order::Lengths {
            pool,
            input,
            output,
        } => live.set_lengths(pool, input, output),
        Order::Replicas {
            pool,
            variant,
            names,
        } => live.set_replicas(pool, variant, &names),
        // Whoever asked may have gone.
        Order::ReadEngine {
            pool,
            variant,
            name,
            answer,
        } => drop(answer.send(live.engine(pool, variant, &name))),
        Order::ReadPicker { pool, answer } => drop(answer.send(live.picker(pool))),
    }
}
