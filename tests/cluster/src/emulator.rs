//! The fleet emulator: the simulated fleet, run against the clock behind the pods of a cluster.
//!
//! It follows the ready pods of its pools, each of which is a replica, and answers for every pod
//! what vLLM or the endpoint picker would export. A speed makes the world faster: engines take that
//! much less time for everything, so that a replica serves `speed` times the rate, and a minute
//! shows what else takes `speed` minutes. Everything it exports is in seconds of the clock on the
//! wall.

mod answers;
pub mod crowd;
mod exposition;
mod pods;
mod server;
mod world;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use trimtab_sim::generate::Lengths;
use trimtab_sim::live::{PickerReading, faster};
use trimtab_sim::scenario::{Overrides, Scenario};
use trimtab_sim::spec::Spec;

pub use self::answers::Answer;
use self::answers::Answers;
use self::world::{Order, World};
use crate::control_plane::{ControlPlane, client_of};

/// Labels that pods must have, all of them.
pub type Labels = BTreeMap<String, String>;

/// Which pods of a cluster stand for a pool of the simulation.
#[derive(Clone, Debug)]
pub struct PoolPods {
    pub namespace: String,
    /// Of the InferencePool, where the scenario calls it something else: there, pools of two
    /// namespaces have no name in common.
    pub name: Option<String>,
    /// By variant, in the order of the scenario.
    pub variants: Vec<Labels>,
    /// Those of the endpoint picker, where there is one.
    pub picker: Option<Labels>,
}

impl PoolPods {
    /// Variants and picker by the value of one label each, as the fixtures have it.
    #[must_use]
    pub fn by_app(namespace: &str, variants: &[&str], picker: Option<&str>) -> Self {
        let labels = |value: &str| {
            Labels::from([(
                crate::fixtures::servers::APP_LABEL.to_owned(),
                value.to_owned(),
            )])
        };
        Self {
            namespace: namespace.to_owned(),
            name: None,
            variants: variants.iter().map(|variant| labels(variant)).collect(),
            picker: picker.map(labels),
        }
    }
}

/// A running emulator. Dropping it ends it.
#[derive(Debug)]
pub struct Emulator {
    address: SocketAddr,
    world: World,
    answers: Arc<Answers>,
    /// Dropped with it: the server's sign to end.
    _stop: oneshot::Sender<()>,
}

impl Emulator {
    /// Starts one with the pools of a scenario, in YAML as `trimtab simulate` takes it, in a world
    /// `speed` times as fast. `pods` has an entry for each pool of it. The scenario's workload plays
    /// from the start, at `speed` times its rate, until [`Self::set_rate`].
    ///
    /// # Errors
    /// Where the scenario is refused, or pods and pools do not match.
    pub async fn start(
        plane: &ControlPlane,
        scenario: &str,
        speed: f64,
        pods: Vec<PoolPods>,
    ) -> anyhow::Result<Self> {
        let mut spec = spec(scenario, speed)?;
        check(&spec, &pods)?;
        for (pool, pods) in spec.pools.iter_mut().zip(&pods) {
            pool.name = pods.name.clone().unwrap_or(pool.name.clone());
        }
        let answers = Arc::new(Answers::default());
        let world = World::start(spec);
        // Before its thread, so that who asks at once is answered.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let task = Task {
            kubeconfig: plane.kubeconfig(),
            listener: listener.into_std()?,
            world: world.clone(),
            answers: answers.clone(),
            pods,
        };
        std::thread::spawn(move || task.run(stopped));
        Ok(Self {
            address,
            world,
            answers,
            _stop: stop,
        })
    }

    /// Where it answers `/pods/NAMESPACE/POD/metrics`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on requests of a pool, by its position in the scenario, come at random at this
    /// rate, in requests per second on the wall.
    pub fn set_rate(&self, pool: usize, per_second: f64) {
        self.world.order(Order::Rate { pool, per_second });
    }

    /// Lengths of the requests from the next on, in tokens, for those that come at a rate.
    pub fn set_lengths(&self, pool: usize, input: Lengths, output: Lengths) {
        self.world.order(Order::Lengths {
            pool,
            input,
            output,
        });
    }

    /// What a pool's picker sees now.
    ///
    /// # Errors
    /// Where there is no such pool.
    pub async fn picker(&self, pool: usize) -> anyhow::Result<PickerReading> {
        let reading = self.world.picker(pool).await;
        reading.with_context(|| format!("the scenario has no pool {pool}"))
    }

    /// Has a pod answer something else than what is behind it, until [`Self::restore`].
    pub fn answer(&self, namespace: &str, pod: &str, answer: Answer) {
        self.answers.set(namespace, pod, answer);
    }

    /// A pod answers for itself again.
    pub fn restore(&self, namespace: &str, pod: &str) {
        self.answers.restore(namespace, pod);
    }
}

/// The thread that follows pods and answers scrapes, whatever the test's own thread does.
struct Task {
    kubeconfig: std::path::PathBuf,
    listener: std::net::TcpListener,
    world: World,
    answers: Arc<Answers>,
    pods: Vec<PoolPods>,
}

impl Task {
    /// Ends when `stopped` is told, or its sender is gone.
    fn run(self, stopped: oneshot::Receiver<()>) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let client = client_of(&self.kubeconfig).await?;
            let (routes, followed) = pods::follow(client, self.pods, self.world.clone());
            let listener = TcpListener::from_std(self.listener)?;
            let served = server::serve(listener, routes, self.answers, self.world);
            tokio::select! {
                // Only the one that stops it ever ends.
                _ = stopped => Ok(()),
                () = followed => Ok(()),
                outcome = served => outcome,
            }
        })
    }
}

/// A scenario's pools in a world `speed` times as fast.
///
/// # Errors
/// Where the scenario is refused.
pub fn spec(scenario: &str, speed: f64) -> anyhow::Result<Spec> {
    let scenario = Scenario::parse("scenario of the test", scenario, Path::new(""))?;
    let spec = scenario.resolve(&Overrides::default())?;
    Ok(faster(&spec, speed))
}

fn check(spec: &Spec, pods: &[PoolPods]) -> anyhow::Result<()> {
    anyhow::ensure!(
        spec.pools.len() == pods.len(),
        "the scenario has {} pools, and pods are given for {}",
        spec.pools.len(),
        pods.len(),
    );
    for (pool, pods) in spec.pools.iter().zip(pods) {
        anyhow::ensure!(
            pool.variants.len() == pods.variants.len(),
            "pool `{}` has {} variants, and pods are given for {}",
            pool.name,
            pool.variants.len(),
            pods.variants.len(),
        );
    }
    Ok(())
}
