//! Policies from files, as editors, copies and the kubelet write them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::given::*;
use crate::{Entry, Reason, Registry, RegistryConfig, State};

fn files_read(registry: &Registry) -> u64 {
    registry.shared.files_read.load(Ordering::Relaxed)
}

/// Writes aside and renames, as editors do.
fn save(path: &Path, bytes: &[u8]) {
    let aside = path.with_extension("swp");
    fs::write(&aside, bytes).unwrap();
    fs::rename(aside, path).unwrap();
}

#[tokio::test]
async fn a_file_that_appears_runs() {
    let directory = tempfile::tempdir().unwrap();
    let registry = in_directory(directory.path());
    let component = guest(1);
    want(&registry, &file("a.wasm"));
    let message = failed(&registry, Reason::NotFound).await;
    assert!(message.contains("`a.wasm`"), "{message}");
    fs::write(directory.path().join("a.wasm"), &component).unwrap();
    ready(&registry, &component).await;
}

#[tokio::test]
async fn a_file_that_is_replaced_runs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.wasm");
    let registry = in_directory(directory.path());
    want(&registry, &file("a.wasm"));
    for number in [1, 2, 1, 3] {
        let component = guest(number);
        save(&path, &component);
        ready(&registry, &component).await;
    }
}

#[tokio::test]
async fn a_file_that_is_written_over_runs() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.wasm");
    let registry = in_directory(directory.path());
    want(&registry, &file("a.wasm"));
    for number in [1, 2, 1, 3] {
        let component = guest(number);
        fs::write(&path, &component).unwrap();
        ready(&registry, &component).await;
    }
}

#[tokio::test]
async fn a_file_in_a_directory_that_is_made_later_runs() {
    let directory = tempfile::tempdir().unwrap();
    let registry = in_directory(directory.path());
    want(&registry, &file("team/policies/a.wasm"));
    failed(&registry, Reason::NotFound).await;
    let nested = directory.path().join("team/policies");
    fs::create_dir_all(&nested).unwrap();
    for number in [1, 2] {
        let component = guest(number);
        save(&nested.join("a.wasm"), &component);
        ready(&registry, &component).await;
    }
}

#[tokio::test]
async fn a_bad_file_is_told_and_a_good_one_heals_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.wasm");
    let registry = in_directory(directory.path());
    let (first, second) = (guest(1), guest(2));
    want(&registry, &file("a.wasm"));
    save(&path, &first);
    ready(&registry, &first).await;
    // Half of it, and nobody writes the rest.
    save(&path, &second[..second.len() / 2]);
    failed(&registry, Reason::NotAComponent).await;
    assert_eq!(current(&entry(&registry)), Some(&digest(&first)));
    save(&path, &second);
    ready(&registry, &second).await;
}

#[tokio::test]
async fn a_file_that_is_deleted_runs_on_and_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.wasm");
    let registry = in_directory(directory.path());
    let component = guest(1);
    want(&registry, &file("a.wasm"));
    save(&path, &component);
    ready(&registry, &component).await;
    fs::remove_file(&path).unwrap();
    failed(&registry, Reason::NotFound).await;
    assert_eq!(version(entry(&registry).current.as_ref().unwrap()), Ok(1));
    save(&path, &component);
    ready(&registry, &component).await;
    assert_eq!(registry.compiled(), 1);
}

#[tokio::test]
async fn a_file_that_is_only_touched_swaps_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.wasm");
    let registry = in_directory(directory.path());
    let component = guest(1);
    want(&registry, &file("a.wasm"));
    save(&path, &component);
    ready(&registry, &component).await;
    let (serial, read) = (registry.table().serial, files_read(&registry));
    save(&path, &component);
    while files_read(&registry) == read {
        tokio::task::yield_now().await;
    }
    // The next one is read after the one before was judged.
    let other = guest(2);
    save(&path, &other);
    ready(&registry, &other).await;
    assert_eq!(registry.table().serial, serial + 1);
    assert_eq!(registry.compiled(), 2);
}

/// A ConfigMap's volume: files are links through `..data`, which the kubelet swaps.
struct Volume<'a>(&'a Path);

impl Volume<'_> {
    fn flip(&self, version: u32) {
        let old = fs::read_link(self.0.join("..data")).ok();
        let name = format!("..2026_01_01_00_00_{version:02}.{version}");
        fs::create_dir(self.0.join(&name)).unwrap();
        fs::write(self.0.join(&name).join("a.wasm"), guest(version)).unwrap();
        symlink(&name, self.0.join("..data_tmp")).unwrap();
        fs::rename(self.0.join("..data_tmp"), self.0.join("..data")).unwrap();
        match old {
            Some(old) => fs::remove_dir_all(self.0.join(old)).unwrap(),
            None => symlink("..data/a.wasm", self.0.join("a.wasm")).unwrap(),
        }
    }
}

#[tokio::test]
async fn a_config_map_volume_is_followed_through_its_links() {
    let directory = tempfile::tempdir().unwrap();
    let registry = in_directory(directory.path());
    want(&registry, &file("a.wasm"));
    for number in 1..5 {
        Volume(directory.path()).flip(number);
        ready(&registry, &guest(number)).await;
    }
}

#[tokio::test]
async fn paths_that_lead_out_of_the_directory_are_refused() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("a.wasm"), guest(1)).unwrap();
    let directory = tempfile::tempdir_in(outside.path()).unwrap();
    let at = |name: &str| directory.path().join(name);
    symlink(outside.path().join("a.wasm"), at("absolute.wasm")).unwrap();
    symlink("../a.wasm", at("relative.wasm")).unwrap();
    symlink("..", at("up")).unwrap();
    fs::create_dir(at("..2026")).unwrap();
    symlink("..2026", at("..data")).unwrap();
    symlink("../../a.wasm", at("..2026/a.wasm")).unwrap();
    symlink("..data/a.wasm", at("volume.wasm")).unwrap();
    let absolute = outside.path().join("a.wasm");
    let escapes = [
        ("../a.wasm", "without `..`"),
        ("x/../../a.wasm", "without `..`"),
        (absolute.to_str().unwrap(), "write it relative"),
        ("", "write it relative"),
        ("..", "write it relative"),
        ("absolute.wasm", "leads out"),
        ("relative.wasm", "leads out"),
        ("up/a.wasm", "leads out"),
        ("volume.wasm", "leads out"),
    ];
    for (path, part) in escapes {
        let registry = in_directory(directory.path());
        want(&registry, &file(path));
        let message = failed(&registry, Reason::InvalidSource).await;
        assert!(message.contains(part), "{path}: {message}");
        assert_eq!(files_read(&registry), 0, "{path}");
    }
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("a.wasm")).unwrap();
    let pipe = directory.path().join("pipe.wasm");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    for path in ["a.wasm", "pipe.wasm"] {
        let registry = in_directory(directory.path());
        want(&registry, &file(path));
        let message = failed(&registry, Reason::InvalidSource).await;
        assert!(message.contains("not a file"), "{message}");
    }
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.wasm");
    // It takes no room on disk.
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    let registry = in_directory(directory.path());
    want(&registry, &file("a.wasm"));
    let message = failed(&registry, Reason::TooLarge).await;
    assert!(message.contains("1099511627776 bytes"), "{message}");
    assert_eq!(files_read(&registry), 0);
    let component = guest(1);
    save(&path, &component);
    ready(&registry, &component).await;
}

#[tokio::test]
async fn a_directory_that_is_made_later_and_again_is_watched() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("policies");
    let registry = in_directory(&root);
    want(&registry, &file("a.wasm"));
    let message = failed(&registry, Reason::NotFound).await;
    assert!(message.contains("is not there"), "{message}");
    for number in [1, 2] {
        let component = guest(number);
        fs::create_dir(&root).unwrap();
        fs::write(root.join("a.wasm"), &component).unwrap();
        ready(&registry, &component).await;
        fs::remove_dir_all(&root).unwrap();
        failed(&registry, Reason::NotFound).await;
        assert_eq!(current(&entry(&registry)), Some(&digest(&component)));
    }
}

#[tokio::test]
async fn a_directory_that_is_a_link_is_followed_when_it_is_swapped() {
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("policies");
    let registry = in_directory(&root);
    want(&registry, &file("a.wasm"));
    for number in [1, 2] {
        let (name, component) = (format!("checkout-{number}"), guest(number));
        fs::create_dir(parent.path().join(&name)).unwrap();
        fs::write(parent.path().join(&name).join("a.wasm"), &component).unwrap();
        symlink(&name, parent.path().join("next")).unwrap();
        fs::rename(parent.path().join("next"), &root).unwrap();
        ready(&registry, &component).await;
    }
}

#[tokio::test]
async fn thousands_of_events_of_other_files_read_nothing_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.wasm");
    let registry = in_directory(directory.path());
    let (first, second) = (guest(1), guest(2));
    want(&registry, &file("a.wasm"));
    save(&path, &first);
    ready(&registry, &first).await;
    let read = files_read(&registry);
    for number in 0..5_000 {
        let other = directory.path().join(format!("{}.log", number % 10));
        fs::write(other, number.to_string()).unwrap();
    }
    save(&path, &second);
    ready(&registry, &second).await;
    assert_eq!(files_read(&registry), read + 1);
}

#[tokio::test]
async fn a_file_that_is_written_thousands_of_times_is_read_when_it_is_quiet() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.wasm");
    let registry = in_directory(directory.path());
    let components: Vec<_> = (1..=10).map(guest).collect();
    want(&registry, &file("a.wasm"));
    for number in 0..3_000 {
        fs::write(&path, &components[number % 10]).unwrap();
    }
    ready(&registry, &components[9]).await;
    // Each reading comes after a time of quiet, so there is none in a row of writes but where this
    // process was held up for as long.
    assert!(files_read(&registry) < 30, "{}", files_read(&registry));
}

/// One event, one reading, for many policies from the same file; their component is shared.
#[tokio::test]
async fn many_policies_may_come_from_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.wasm");
    let config = RegistryConfig {
        directory: Some(directory.path().to_owned()),
        compilations: 2,
        ..config()
    };
    let registry = Registry::start(Arc::clone(&SANDBOX), config);
    let names = (0..20).map(|number| key(&number.to_string()));
    registry.want(names.map(|key| (key, file("a.wasm"))).collect());
    for number in [1, 2] {
        let wanted = digest(&guest(number));
        save(&path, &guest(number));
        let table = table(&registry, |table| {
            let is_ready =
                |it: &Arc<Entry>| it.state == State::Ready && current(it) == Some(&wanted);
            table.entries.values().all(is_ready)
        });
        assert_eq!(table.await.entries.len(), 20);
    }
    assert!(registry.compiled() <= 4, "{}", registry.compiled());
}
