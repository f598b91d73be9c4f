//! WVA's ConfigMaps as a configuration file.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow};
use serde_json::{Map, Value};
use trimtab_cluster::config_maps::Found;

use super::object::{group, kind, name, namespace, said_namespace, title};
use super::plan::{Body, Document, Fate, Plan, Wishes};
use crate::run::config::{Config, PoolEntry};
use crate::run::inherited::{self, LABEL};
use crate::run::wva::{self, ConfigMaps, Verdict};

/// Keys of an objective for which null is a word: no bound.
const BOUNDS: [&str; 3] = ["ttftSeconds", "itlSeconds", "tokensPerSecond"];

pub(super) fn plan(objects: &[&Value], wishes: &Wishes, plan: &mut Plan) -> Result<()> {
    let maps: Vec<(wva::Map, &Value)> = objects
        .iter()
        .filter_map(|object| Some((of_wva(object)?, *object)))
        .collect();
    let Some(system) = wishes.wva_namespace.clone().or_else(|| system(&maps)) else {
        return Ok(());
    };
    let mut read = ConfigMaps::default();
    for (map, object) in &maps {
        plan.row(
            title(object),
            Fate::Stays,
            "it is read as it is, where Trimtab runs in its namespace; below what its keys become",
        );
        inherited::take(&mut read, *map, found(object), &system);
    }
    let translation = read.translate(true);
    for line in &translation.report {
        let fate = match line.verdict {
            Verdict::Honoured(_) => Fate::Replaced,
            Verdict::Ignored(_) | Verdict::Invalid(_) => Fate::NoEqual,
        };
        plan.row(line.place(), fate, line.outcome());
    }
    let mut file =
        Config::document(&translation.settings).map_err(|problem| anyhow!("{problem}"))?;
    let entries = translation.pools.iter().map(written);
    let entries = entries.collect::<Result<Vec<Option<Value>>>>()?;
    let entries: Vec<Value> = entries.into_iter().flatten().collect();
    if let Some(keys) = file.as_object_mut().filter(|_| !entries.is_empty()) {
        keys.insert("pools".to_owned(), entries.into());
    }
    if file.as_object().is_none_or(Map::is_empty) {
        return Ok(());
    }
    let said =
        wishes.wva_namespace.is_some() || maps.iter().any(|(_, of)| said_namespace(of).is_some());
    plan.documents.push(Document {
        comments: vec![
            format!("What WVA's ConfigMaps say, WVA's own namespace being {system}."),
            "Its keys go under `config` in the chart's values, or into the file of --config. As long \
             as WVA's ConfigMaps are there they are read too; what stands here wins."
                .to_owned(),
        ],
        body: Body::File {
            namespace: said.then_some(system),
            file,
        },
    });
    Ok(())
}

fn of_wva(object: &Value) -> Option<wva::Map> {
    let is_map = group(object).is_empty() && kind(object) == "ConfigMap";
    let mut maps = wva::Map::ALL.into_iter();
    maps.find(|map| is_map && map.name() == name(object))
}

/// The namespace that WVA runs in, by what only stands there.
fn system(maps: &[(wva::Map, &Value)]) -> Option<String> {
    let own = maps.iter().find(|(map, _)| *map == wva::Map::Process);
    let unlabelled = || {
        maps.iter().find(|(_, object)| {
            let label = labels(object).remove(LABEL.0);
            label.as_deref() != Some(LABEL.1)
        })
    };
    let of = own.or_else(unlabelled).or(maps.first())?;
    Some(namespace(of.1).to_owned())
}

fn labels(object: &Value) -> BTreeMap<String, String> {
    texts(object, "/metadata/labels")
}

fn found(object: &Value) -> Found {
    Found {
        namespace: namespace(object).to_owned(),
        labels: labels(object),
        data: texts(object, "/data"),
    }
}

fn texts(object: &Value, pointer: &str) -> BTreeMap<String, String> {
    let map = object.pointer(pointer).and_then(Value::as_object);
    let pairs = map.into_iter().flatten();
    pairs
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// An entry with nothing but what it says; `None` where that is nothing.
fn written(entry: &PoolEntry) -> Result<Option<Value>> {
    let mut value = serde_json::to_value(entry).context("an entry of `pools`")?;
    prune(&mut value);
    let whom = ["namespace", "pool", "model"];
    let keys = value.as_object();
    let says = keys.is_some_and(|keys| keys.keys().any(|key| !whom.contains(&key.as_str())));
    Ok(says.then_some(value))
}

fn prune(value: &mut Value) {
    let Some(map) = value.as_object_mut() else {
        return;
    };
    for inner in map.values_mut() {
        prune(inner);
    }
    map.retain(|key, value| {
        let empty = value.as_object().is_some_and(Map::is_empty);
        !empty && (!value.is_null() || BOUNDS.contains(&key.as_str()))
    });
}
