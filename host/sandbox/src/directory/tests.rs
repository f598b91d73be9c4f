//! What the watched directory does, with real files.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::RecommendedWatcher;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::watch::Events;
use super::{Directory, Found, ReadError, read};

const MAX: usize = 1 << 20;

fn refuse(_: &Path, _: Arc<Events>) -> notify::Result<RecommendedWatcher> {
    Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch))
}

async fn found(directory: &Directory, path: &str) -> Found {
    let look = directory.settled(Path::new(path), MAX, None).await;
    look.expect("it is there")
}

/// Time passes only while everybody sleeps, so the writer is never late.
#[tokio::test(start_paused = true)]
async fn a_file_that_grows_is_waited_for() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.wasm");
    let directory = Directory::start(root.path().to_owned(), Duration::from_secs(1));
    let mut file = fs::File::create(&path).unwrap();
    let writing = tokio::spawn(async move {
        for _ in 0..20 {
            file.write_all(b"part ").unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    let found = found(&directory, "a.wasm").await;
    assert_eq!(read(&found).unwrap(), b"part ".repeat(20));
    writing.await.unwrap();
}

#[tokio::test]
async fn a_file_that_changed_since_it_was_found_is_not_read() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a.wasm");
    let directory = Directory::start(root.path().to_owned(), Duration::from_secs(1));
    let changes: [fn(&Path); 5] = [
        |path| fs::write(path, b"longer").unwrap(),
        |path| fs::remove_file(path).unwrap(),
        |path| {
            fs::remove_file(path).unwrap();
            mknodat(CWD, path, FileType::Fifo, Mode::RUSR, 0).unwrap();
        },
        |path| {
            fs::rename(path, path.with_extension("old")).unwrap();
            std::os::unix::fs::symlink("a.old", path).unwrap();
        },
        |path| {
            fs::write(path.with_extension("new"), b"whole").unwrap();
            fs::rename(path.with_extension("new"), path).unwrap();
        },
    ];
    for change in changes {
        let _ = fs::remove_file(&path);
        fs::write(&path, b"whole").unwrap();
        let found = found(&directory, "a.wasm").await;
        assert_eq!(read(&found).unwrap(), b"whole");
        change(&path);
        assert!(matches!(read(&found), Err(ReadError::Moved)));
    }
}

#[tokio::test]
async fn a_file_that_is_as_it_was_is_not_waited_for() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a.wasm"), b"whole").unwrap();
    let directory = Directory::start(root.path().to_owned(), Duration::from_secs(1));
    let last = Ok(found(&directory, "a.wasm").await);
    tokio::time::pause();
    let now = tokio::time::Instant::now();
    let path = Path::new("a.wasm");
    let again = directory.settled(path, MAX, Some(&last)).await;
    assert_eq!(again, last);
    assert_eq!(now.elapsed(), Duration::ZERO);
}

/// The clock stands still, so that no period passes: only an event can tell.
#[tokio::test]
async fn an_event_tells_before_the_period_is_over() {
    let root = tempfile::tempdir().unwrap();
    let directory = Directory::start(root.path().to_owned(), Duration::from_secs(1_000_000));
    let mut changes = directory.changes();
    changes.wait_for(|looks| *looks > 0).await.unwrap();
    fs::create_dir_all(root.path().join("team/policies")).unwrap();
    for _ in 0..3 {
        changes.borrow_and_update();
        fs::write(root.path().join("a.wasm"), b"whole").unwrap();
        changes.changed().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_that_cannot_be_watched_is_polled() {
    let root = tempfile::tempdir().unwrap();
    let directory = Directory::with(root.path().to_owned(), Duration::from_secs(1), refuse);
    let mut changes = directory.changes();
    changes.wait_for(|looks| *looks > 0).await.unwrap();
    let now = tokio::time::Instant::now();
    changes.wait_for(|looks| *looks > 10).await.unwrap();
    assert_eq!(now.elapsed(), Duration::from_secs(10));
}

/// However many events there are, there are ten looks a second.
#[tokio::test(start_paused = true)]
async fn events_are_gathered() {
    let root = tempfile::tempdir().unwrap();
    let directory = Directory::start(root.path().to_owned(), Duration::ZERO);
    let mut changes = directory.changes();
    changes.wait_for(|looks| *looks > 0).await.unwrap();
    let now = tokio::time::Instant::now();
    changes.wait_for(|looks| *looks > 20).await.unwrap();
    assert!(now.elapsed() >= Duration::from_secs(2));
}
