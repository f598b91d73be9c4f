//! What becomes of each object: the documents to apply, and a row for everything that was found.

use anyhow::Result;
use serde_json::Value;

use super::known::Known;
use super::object::{is_same, is_scaler, is_variant, order};
use super::rules::Rules;
use super::scaler::{self, Taken};
use super::{settings, variant};

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) objects: Vec<Value>,
    /// What could not be.
    pub(super) unread: Vec<String>,
}

/// What only whoever asks can know.
#[derive(Debug)]
pub(super) struct Wishes {
    pub(super) wva_namespace: Option<String>,
    pub(super) scaler_address: String,
}

/// An object to apply.
#[derive(Debug)]
pub(super) struct Document {
    /// Where it comes from, and what is to be known of it.
    pub(super) comments: Vec<String>,
    pub(super) body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Object(Value),
    /// A ConfigMap of one file.
    File {
        /// As far as it was said.
        namespace: Option<String>,
        file: Value,
    },
}

/// What became of something that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Stays,
    Replaced,
    /// There is no such thing.
    NoEqual,
    /// It is none of ours.
    LeftAlone,
}

impl Fate {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Stays => "stays",
            Self::Replaced => "replaced",
            Self::NoEqual => "no equal",
            Self::LeftAlone => "left alone",
        }
    }
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) of: String,
    pub(super) fate: Fate,
    pub(super) why: String,
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) documents: Vec<Document>,
    pub(super) rows: Vec<Row>,
}

impl Plan {
    /// # Errors
    /// What WVA's ConfigMaps say cannot be written as a file, or our own schema cannot be read.
    pub(super) fn of(found: &Found, wishes: &Wishes) -> Result<Self> {
        let mut objects: Vec<&Value> = found.objects.iter().collect();
        objects.sort_by(|a, b| order(a, b));
        // Files may overlap.
        objects.dedup_by(|a, b| is_same(a, b));
        let (known, rules) = (Known::of(&objects), Rules::new()?);
        let mut plan = Self::default();
        for unread in &found.unread {
            plan.row("the cluster", Fate::NoEqual, format!("not read: {unread}"));
        }
        settings::plan(&objects, wishes, &mut plan)?;
        let mut taken = Taken::of(&objects);
        for object in objects {
            if is_variant(object) {
                variant::plan(object, (&known, &rules), &mut plan);
            } else if is_scaler(object) {
                scaler::plan(object, (&known, wishes), &mut taken, &mut plan);
            }
        }
        Ok(plan)
    }

    pub(super) fn row(&mut self, of: impl Into<String>, fate: Fate, why: impl Into<String>) {
        self.rows.push(Row {
            of: of.into(),
            fate,
            why: why.into(),
        });
    }
}
