//! The house in order: dependencies as the architecture page says, and what a reviewer would else
//! have to look for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use toml::{Table, Value};

const TOP_LEVEL: [&str; 12] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "clippy.toml",
    "deny.toml",
    "deploy",
    "host",
    "policies",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "sdk",
];

#[test]
fn crates_depend_only_on_what_the_architecture_page_allows() {
    let allowed = architecture_table();
    for (place, manifest) in manifests() {
        let may = allowed.get(&place).unwrap_or_else(|| {
            panic!("host/README.md has no row for `{place}` in its table of places")
        });
        let Some(may) = may else { continue };
        for dependency in ours(&manifest) {
            assert!(
                may.contains(&dependency),
                "{place}/Cargo.toml depends on `{dependency}`; its row in host/README.md allows {may:?}"
            );
        }
    }
}

#[test]
fn the_architecture_page_names_no_place_that_is_gone() {
    for place in architecture_table().keys() {
        assert!(
            root().join(place).is_dir(),
            "host/README.md has a row for `{place}`, which is no folder"
        );
    }
}

#[test]
fn every_crate_takes_versions_and_lints_from_the_workspace() {
    for (place, manifest) in manifests() {
        assert_eq!(
            manifest
                .get("lints")
                .and_then(|lints| lints.get("workspace")),
            Some(&Value::Boolean(true)),
            "{place}/Cargo.toml: add `[lints] workspace = true`"
        );
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, dependency) in manifest
                .get(section)
                .and_then(Value::as_table)
                .into_iter()
                .flatten()
            {
                assert_eq!(
                    dependency.get("workspace"),
                    Some(&Value::Boolean(true)),
                    "{place}/Cargo.toml: `{name}` in [{section}] must be `workspace = true`"
                );
            }
        }
    }
}

#[test]
fn every_source_file_says_what_it_is() {
    for file in tracked_files()
        .iter()
        .filter(|file| file.extension().is_some_and(|end| end == "rs"))
    {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        assert!(
            text.starts_with("//! "),
            "{}: begin with a `//!` line",
            file.display()
        );
    }
}

#[test]
fn the_top_level_holds_only_the_house() {
    let mut allowed = BTreeSet::from(TOP_LEVEL);
    allowed.extend(["tests", "wit"]);
    for file in tracked_files() {
        let first = file
            .components()
            .next()
            .unwrap()
            .as_os_str()
            .to_string_lossy()
            .into_owned();
        assert!(
            first.starts_with('.') || allowed.contains(first.as_str()),
            "`{first}` does not belong to the top level"
        );
    }
}

/// Place to the names that its row allows; `None` where it allows all.
fn architecture_table() -> BTreeMap<String, Option<BTreeSet<String>>> {
    let page = std::fs::read_to_string(root().join("host/README.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let place = cells[0].trim_matches('`').to_owned();
        let names = cells.last().unwrap();
        let may = (*names != "all").then(|| {
            names
                .split_whitespace()
                .map(|name| name.trim_matches('`').to_owned())
                .collect()
        });
        (place, may)
    })
    .collect()
}

/// Our own crates among a manifest's dependencies of any kind but for tests, without their prefix.
fn ours(manifest: &Table) -> Vec<String> {
    ["dependencies", "build-dependencies"]
        .iter()
        .filter_map(|section| manifest.get(*section).and_then(Value::as_table))
        .flat_map(|section| section.keys())
        .filter_map(|name| name.strip_prefix("trimtab-"))
        .map(str::to_owned)
        .collect()
}

fn manifests() -> BTreeMap<String, Table> {
    let workspace = read_manifest(Path::new(""));
    let members = workspace["workspace"]["members"].as_array().unwrap();
    members
        .iter()
        .map(|member| {
            let place = member.as_str().unwrap();
            (place.to_owned(), read_manifest(Path::new(place)))
        })
        .collect()
}

fn read_manifest(place: &Path) -> Table {
    let path = root().join(place).join("Cargo.toml");
    std::fs::read_to_string(&path).unwrap().parse().unwrap()
}

fn tracked_files() -> Vec<PathBuf> {
    let listed = Command::new("git")
        .args(["ls-files"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        listed.status.success(),
        "git ls-files: {}",
        String::from_utf8_lossy(&listed.stderr)
    );
    let files: Vec<PathBuf> = String::from_utf8(listed.stdout)
        .unwrap()
        .lines()
        .map(PathBuf::from)
        .collect();
    assert!(!files.is_empty(), "git lists no files");
    files
        .into_iter()
        .filter(|file| root().join(file).exists())
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
