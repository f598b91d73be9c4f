//! Many swaps under a reader that never rests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::given::*;
use crate::{Registry, Sandbox, SandboxConfig};

const SWAPS: usize = 1_000;

/// Memory that may be taken over all swaps: a leak of one component's code in each would be ten
/// times that.
const GROWTH_BYTES: u64 = 24 << 20;

fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib << 10
}

/// Calls what each table holds; gives how many it called, and how often it was another than before.
fn read(registry: &Registry, is_over: &AtomicBool) -> (usize, usize) {
    let digests = [1, 2].map(|number| digest(&guest(number)));
    let (mut called, mut swapped, mut before) = (0, 0, None);
    while !is_over.load(Ordering::Relaxed) {
        let table = registry.table();
        let policy = table.entries[&key("policy")].current.clone().unwrap();
        let number = version(&policy).unwrap();
        assert_eq!(policy.digest(), &digests[number as usize - 1]);
        called += 1;
        if before.replace(number) != Some(number) {
            swapped += 1;
        }
    }
    (called, swapped)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_swaps_leave_every_table_whole_and_memory_flat() {
    // With a cache each swap costs a millisecond; the code is mapped and unmapped all the same.
    let cache = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new(SandboxConfig {
        cache_directory: Some(cache.path().to_owned()),
        ..SandboxConfig::default()
    });
    let registry = Registry::start(Arc::new(sandbox.unwrap()), config());
    let components = [guest(1), guest(2)];
    want(&registry, &bytes(&components[0]));
    ready(&registry, &components[0]).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let reader = std::thread::spawn({
        let (registry, is_over) = (Arc::clone(&registry), Arc::clone(&is_over));
        move || read(&registry, &is_over)
    });
    let mut resident = 0;
    for swap in 1..=SWAPS {
        let component = &components[swap % 2];
        want(&registry, &bytes(component));
        ready(&registry, component).await;
        if swap == SWAPS / 10 {
            resident = resident_bytes();
        }
    }
    let grown = resident_bytes().saturating_sub(resident);
    is_over.store(true, Ordering::Relaxed);
    let (called, swapped) = reader.join().unwrap();
    println!("{called} calls, {swapped} swaps seen, grown by {grown} bytes");
    assert!(swapped > 1, "the reader saw no swap");
    assert_eq!(registry.compiled(), SWAPS as u64 + 1);
    assert!(grown < GROWTH_BYTES, "{grown} bytes");
}
