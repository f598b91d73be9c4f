//! Follows the cluster's pods: the ready ones of each variant are its replicas.

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use futures::{StreamExt as _, future};
use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::Store;
use kube::runtime::{WatchStreamExt as _, reflector, watcher};
use kube::{Api, Client, ResourceExt as _};
use tokio::sync::Notify;

use super::world::{Order, World};
use super::{Labels, PoolPods};
use crate::fixtures::servers::is_ready;

/// Time in which changes are taken together: ten thousand pods do not get ready one by one.
const GATHER: Duration = Duration::from_millis(50);

/// What stands behind a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Behind {
    Engine { pool: usize, variant: usize },
    Picker { pool: usize },
}

/// By namespace and pod.
#[derive(Clone, Debug, Default)]
pub(super) struct Routes(Arc<RwLock<HashMap<(String, String), Behind>>>);

impl Routes {
    pub(super) fn get(&self, namespace: &str, pod: &str) -> Option<Behind> {
        let key = (namespace.to_owned(), pod.to_owned());
        let routes = self.0.read().unwrap_or_else(PoisonError::into_inner);
        routes.get(&key).copied()
    }

    fn set(&self, routes: HashMap<(String, String), Behind>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = routes;
    }
}

/// Gives the routes, and the work of following, which never ends.
pub(super) fn follow(
    client: Client,
    pools: Vec<PoolPods>,
    world: World,
) -> (Routes, impl Future<Output = ()>) {
    let routes = Routes::default();
    let changed = Arc::new(Notify::new());
    let namespaces: BTreeSet<&String> = pools.iter().map(|pool| &pool.namespace).collect();
    let mut stores = HashMap::new();
    let mut watches = Vec::new();
    for namespace in namespaces {
        let api = Api::<Pod>::namespaced(client.clone(), namespace);
        let (store, writer) = reflector::store();
        stores.insert(namespace.clone(), store);
        let events = watcher(api, watcher::Config::default()).default_backoff();
        let changed = changed.clone();
        // What fails is tried again, with back-off: the fleet outlives an API server that is down.
        let watch = reflector(writer, events).for_each(move |_| {
            changed.notify_one();
            future::ready(())
        });
        watches.push(watch);
    }
    let follower = Follower {
        pools,
        stores,
        world,
        routes: routes.clone(),
    };
    let work = async move {
        future::join(future::join_all(watches), follower.run(&changed)).await;
    };
    (routes, work)
}

struct Follower {
    pools: Vec<PoolPods>,
    /// By namespace.
    stores: HashMap<String, Store<Pod>>,
    world: World,
    routes: Routes,
}

impl Follower {
    async fn run(self, changed: &Notify) {
        loop {
            changed.notified().await;
            tokio::time::sleep(GATHER).await;
            self.look();
        }
    }

    fn look(&self) {
        let mut routes = HashMap::new();
        for (pool, of) in self.pools.iter().enumerate() {
            for (variant, labels) in of.variants.iter().enumerate() {
                let names = self.ready(&of.namespace, labels);
                for name in &names {
                    let behind = Behind::Engine { pool, variant };
                    routes.insert((of.namespace.clone(), name.clone()), behind);
                }
                self.world.order(Order::Replicas {
                    pool,
                    variant,
                    names,
                });
            }
            let pickers = of.picker.as_ref();
            for name in pickers.map_or_else(BTreeSet::new, |of_picker| {
                self.ready(&of.namespace, of_picker)
            }) {
                routes.insert((of.namespace.clone(), name), Behind::Picker { pool });
            }
        }
        self.routes.set(routes);
    }

    /// Names of the ready pods with these labels.
    fn ready(&self, namespace: &str, labels: &Labels) -> BTreeSet<String> {
        let store = self.stores.get(namespace);
        let pods = store.map(Store::state).unwrap_or_default();
        pods.iter()
            .filter(|pod| is_ready(pod) && has_all(pod, labels))
            .map(|pod| pod.name_any())
            .collect()
    }
}

fn has_all(pod: &Pod, labels: &Labels) -> bool {
    labels
        .iter()
        .all(|(key, value)| pod.labels().get(key) == Some(value))
}
