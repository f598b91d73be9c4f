//! What is read back, what is ignored, and which directories are refused.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wasmtime::Config;

use super::*;

/// A component with a little code in it.
const TEXT: &str = r#"(component
    (core module $m (func (export "one") (result i32) i32.const 1))
    (core instance $i (instantiate $m))
    (func (export "one") (result u32) (canon lift (core func $i "one"))))"#;

struct Fixture {
    root: tempfile::TempDir,
    engine: Engine,
    component: Component,
    digest: [u8; 32],
}

impl Fixture {
    fn new() -> Self {
        let engine = Engine::default();
        let bytes = wat::parse_str(TEXT).unwrap();
        let component = Component::from_binary(&engine, &bytes).unwrap();
        let root = tempfile::tempdir().unwrap();
        Self {
            root,
            engine,
            component,
            digest: Sha256::digest(&bytes).into(),
        }
    }

    fn directory(&self) -> PathBuf {
        self.root.path().join("deep/cache")
    }

    /// The cache as a process that starts finds it.
    fn open(&self) -> Cache {
        Cache::open(&self.directory(), &self.engine).unwrap()
    }

    /// A cache that holds the component, and the path of its entry.
    fn filled(&self) -> (Cache, PathBuf) {
        let cache = self.open();
        cache.store(&self.digest, &self.component);
        let entry = cache.entry(&self.digest);
        assert!(entry.is_file());
        (cache, entry)
    }

    #[track_caller]
    fn is_rejected(&self, what: &str) {
        let cache = self.open();
        assert!(cache.load(&self.engine, &self.digest).is_none(), "{what}");
        assert_eq!(
            cache.counts(),
            CacheCounts {
                rejected: 1,
                ..CacheCounts::default()
            },
            "{what}"
        );
    }
}

#[test]
fn what_one_process_wrote_the_next_one_reads() {
    let fixture = Fixture::new();
    let (first, _) = fixture.filled();
    assert!(first.load(&fixture.engine, &fixture.digest).is_some());
    let second = fixture.open();
    let component = second.load(&fixture.engine, &fixture.digest).unwrap();
    assert_eq!(
        component.component_type().exports(&fixture.engine).count(),
        1
    );
    assert_eq!(
        second.counts(),
        CacheCounts {
            hits: 1,
            ..CacheCounts::default()
        }
    );
}

#[test]
fn what_is_not_there_is_a_miss() {
    let fixture = Fixture::new();
    let cache = fixture.open();
    assert!(cache.load(&fixture.engine, &fixture.digest).is_none());
    assert_eq!(
        cache.counts(),
        CacheCounts {
            misses: 1,
            ..CacheCounts::default()
        }
    );
}

#[test]
fn an_entry_with_one_bit_changed_is_ignored() {
    let fixture = Fixture::new();
    let (_, entry) = fixture.filled();
    let whole = fs::read(&entry).unwrap();
    for position in [0, 31, 32, 33, whole.len() / 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[position] ^= 1;
        fs::write(&entry, changed).unwrap();
        fixture.is_rejected(&format!("bit at byte {position}"));
    }
    fs::write(&entry, whole).unwrap();
    assert!(
        fixture
            .open()
            .load(&fixture.engine, &fixture.digest)
            .is_some()
    );
}

#[test]
fn an_entry_that_was_cut_off_or_extended_is_ignored() {
    let fixture = Fixture::new();
    let (_, entry) = fixture.filled();
    let whole = fs::read(&entry).unwrap();
    for length in [0, 1, 31, 32, 33, whole.len() - 1] {
        fs::write(&entry, &whole[..length]).unwrap();
        fixture.is_rejected(&format!("{length} bytes"));
    }
    fs::write(&entry, [&whole[..], b"more"].concat()).unwrap();
    fixture.is_rejected("extended");
}

#[test]
fn an_entry_from_another_cache_is_ignored() {
    let (fixture, other) = (Fixture::new(), Fixture::new());
    let (_, entry) = fixture.filled();
    let (_, planted) = other.filled();
    assert_ne!(fs::read(&planted).unwrap(), fs::read(&entry).unwrap());
    fs::copy(&planted, &entry).unwrap();
    fixture.is_rejected("planted");
}

#[test]
fn compiled_code_without_a_seal_is_ignored() {
    let fixture = Fixture::new();
    let (_, entry) = fixture.filled();
    fs::write(&entry, fixture.component.serialize().unwrap()).unwrap();
    fixture.is_rejected("bare code");
}

#[test]
fn the_entry_of_another_component_is_ignored() {
    let fixture = Fixture::new();
    let (cache, entry) = fixture.filled();
    let other = [7; 32];
    fs::rename(&entry, cache.entry(&other)).unwrap();
    assert!(cache.load(&fixture.engine, &other).is_none());
    assert_eq!(cache.counts().rejected, 1);
}

#[test]
fn the_entry_of_another_engine_is_not_found() {
    let fixture = Fixture::new();
    let (cache, entry) = fixture.filled();
    let other = Engine::new(Config::new().consume_fuel(true)).unwrap();
    let theirs = Cache::open(&fixture.directory(), &other).unwrap();
    assert!(theirs.load(&other, &fixture.digest).is_none());
    assert_eq!(theirs.counts().misses, 1);
    // Not even under its name.
    fs::rename(&entry, theirs.entry(&fixture.digest)).unwrap();
    assert!(theirs.load(&other, &fixture.digest).is_none());
    assert_eq!(theirs.counts().rejected, 1);
    drop(cache);
}

#[test]
fn an_entry_that_cannot_be_read_is_ignored() {
    let fixture = Fixture::new();
    let (_, entry) = fixture.filled();
    fs::remove_file(&entry).unwrap();
    fs::create_dir(&entry).unwrap();
    fixture.is_rejected("a directory");
}

#[test]
fn an_entry_that_was_ignored_is_written_anew() {
    let fixture = Fixture::new();
    let (cache, entry) = fixture.filled();
    fs::write(&entry, b"torn").unwrap();
    fixture.is_rejected("torn");
    cache.store(&fixture.digest, &fixture.component);
    assert!(
        fixture
            .open()
            .load(&fixture.engine, &fixture.digest)
            .is_some()
    );
    let left: Vec<_> = fs::read_dir(fixture.directory()).unwrap().collect();
    assert_eq!(
        left.len(),
        2,
        "the key and the entry, nothing half written: {left:?}"
    );
}

#[test]
fn a_directory_that_vanished_costs_nothing_but_time() {
    let fixture = Fixture::new();
    let (cache, _) = fixture.filled();
    fs::remove_dir_all(fixture.directory()).unwrap();
    cache.store(&fixture.digest, &fixture.component);
    assert!(cache.load(&fixture.engine, &fixture.digest).is_none());
}

#[test]
fn the_directory_and_its_key_are_made_for_one_user_alone() {
    let fixture = Fixture::new();
    fixture.open();
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(fixture.directory()), 0o700);
    assert_eq!(mode(fixture.directory().join("key")), 0o600);
}

#[test]
fn processes_that_start_at_once_agree_on_the_key() {
    let fixture = Fixture::new();
    let caches: Vec<Cache> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| fixture.open())).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    for cache in &caches {
        cache.store(&fixture.digest, &fixture.component);
        assert!(
            caches
                .iter()
                .all(|other| other.load(&fixture.engine, &fixture.digest).is_some())
        );
    }
}

#[track_caller]
fn refused(directory: &Path) -> CacheError {
    match Cache::open(directory, &Engine::default()) {
        Ok(_) => panic!("{} was accepted", directory.display()),
        Err(error) => error,
    }
}

#[test]
fn a_directory_that_others_can_write_to_is_refused() {
    let fixture = Fixture::new();
    fixture.open();
    let set =
        |mode| fs::set_permissions(fixture.directory(), Permissions::from_mode(mode)).unwrap();
    for mode in [0o777, 0o770, 0o702, 0o1777] {
        set(mode);
        let error = refused(&fixture.directory());
        assert!(
            matches!(error, CacheError::Exposed { .. }),
            "{mode:o}: {error}"
        );
        assert!(error.to_string().contains(&format!("{mode:o}")), "{error}");
    }
    set(0o755);
    fixture.open();
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    let fixture = Fixture::new();
    fixture.open();
    let nobody = 65_534;
    // Root may give its directory away; anybody else finds one that is root's.
    let theirs = match chown(fixture.directory(), Some(nobody), None) {
        Ok(()) => fixture.directory(),
        Err(_) => PathBuf::from("/"),
    };
    let error = refused(&theirs);
    assert!(matches!(error, CacheError::Foreign { .. }), "{error}");
}

#[test]
fn a_link_in_place_of_the_directory_is_refused() {
    let fixture = Fixture::new();
    fixture.open();
    let link = fixture.root.path().join("link");
    symlink(fixture.directory(), &link).unwrap();
    assert!(matches!(refused(&link), CacheError::NotADirectory { .. }));
}

#[test]
fn a_file_in_place_of_the_directory_is_refused() {
    let fixture = Fixture::new();
    let file = fixture.root.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(refused(&file), CacheError::Io { .. }));
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let fixture = Fixture::new();
    fixture.open();
    let key = fixture.directory().join("key");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(
        refused(&fixture.directory()),
        CacheError::Exposed { .. }
    ));
}

#[test]
fn a_key_of_another_length_is_refused() {
    let fixture = Fixture::new();
    fixture.open();
    let key = fixture.directory().join("key");
    fs::write(&key, [0; 63]).unwrap();
    assert!(matches!(
        refused(&fixture.directory()),
        CacheError::NoKey { .. }
    ));
    fs::remove_file(&key).unwrap();
    fixture.open();
}

/// Makes a file that was last used so long ago, and tells whether it is there after a write.
fn stays_after_a_write(fixture: &Fixture, name: &str, unused: Duration) -> bool {
    let cache = fixture.open();
    let path = fixture.directory().join(name);
    fs::write(&path, "old").unwrap();
    prune::touch(&path, now() - unused);
    cache.store(&fixture.digest, &fixture.component);
    assert!(cache.entry(&fixture.digest).is_file());
    path.exists()
}

#[test]
fn what_was_not_used_for_a_month_is_removed() {
    let fixture = Fixture::new();
    let day = Duration::from_secs(24 * 3600);
    assert!(stays_after_a_write(&fixture, "a.compiled", 29 * day));
    assert!(!stays_after_a_write(&fixture, "b.compiled", 31 * day));
    // What a process that died left is of no use to anybody; what a live one writes is.
    let aside = format!("{}x", prune::ASIDE);
    assert!(stays_after_a_write(&fixture, &aside, day / 2));
    assert!(!stays_after_a_write(&fixture, &aside, 2 * day));
    // Files that are not entries are not touched.
    assert!(stays_after_a_write(&fixture, "notes.txt", 400 * day));
    prune::touch(&fixture.directory().join("key"), now() - 400 * day);
    fixture.filled();
    assert!(fixture.directory().join("key").is_file());
}

#[test]
fn of_too_many_entries_those_used_last_stay() {
    let fixture = Fixture::new();
    let cache = fixture.open();
    let path = |minutes: usize| fixture.directory().join(format!("{minutes}.compiled"));
    for minutes in 0..prune::MOST_ENTRIES + 5 {
        fs::write(path(minutes), "old").unwrap();
        prune::touch(
            &path(minutes),
            now() - Duration::from_secs(60) * minutes as u32,
        );
    }
    cache.store(&fixture.digest, &fixture.component);
    let stays = |minutes| path(minutes).exists();
    assert!((0..prune::MOST_ENTRIES - 1).all(stays));
    assert!(!(prune::MOST_ENTRIES - 1..prune::MOST_ENTRIES + 5).any(stays));
    assert!(cache.entry(&fixture.digest).is_file());
}

#[test]
fn reading_an_entry_is_a_use() {
    let fixture = Fixture::new();
    let (cache, entry) = fixture.filled();
    prune::touch(&entry, now() - 2 * prune::UNUSED);
    assert!(cache.load(&fixture.engine, &fixture.digest).is_some());
    cache.store(&[7; 32], &fixture.component);
    assert!(entry.is_file());
}

#[test]
fn processes_that_write_at_once_do_not_hinder_each_other() {
    let fixture = Fixture::new();
    let day = Duration::from_secs(24 * 3600);
    let cache = fixture.open();
    for number in 0..50 {
        let path = fixture.directory().join(format!("{number}.compiled"));
        fs::write(&path, "old").unwrap();
        prune::touch(&path, now() - 40 * day);
    }
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (fixture, cache) = (&fixture, fixture.open());
            scope.spawn(move || {
                for _ in 0..10 {
                    cache.store(&[writer; 32], &fixture.component);
                    assert!(cache.load(&fixture.engine, &[writer; 32]).is_some());
                }
            });
        }
    });
    let entries = fs::read_dir(fixture.directory()).unwrap().flatten();
    let entries = entries.filter(|file| file.path().extension().is_some());
    assert_eq!(entries.count(), 4);
    drop(cache);
}
