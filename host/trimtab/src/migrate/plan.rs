//! What becomes of each object: the documents to apply, and a row for everything that was found.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;

use super::known::{Known, Served, Target, target};
use super::object::{group, kind, list, name, order, text, title};
use super::{hpa, scaled_object, settings, variant};

/// What HPAs and KEDA read of us, and of WVA.
pub(super) const METRIC: &str = "wva_desired_replicas";

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
        namespace: String,
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

/// What replaces a scaler: its spec, and what of it is lost.
pub(super) struct Replacement {
    pub(super) object: Value,
    pub(super) lost: Vec<String>,
    pub(super) comments: Vec<String>,
}

impl Plan {
    /// # Errors
    /// What WVA's ConfigMaps say cannot be written as a file.
    pub(super) fn of(found: &Found, wishes: &Wishes) -> Result<Self> {
        let mut objects: Vec<&Value> = found.objects.iter().collect();
        objects.sort_by(|a, b| order(a, b));
        let known = Known::of(&found.objects);
        let mut plan = Self::default();
        for unread in &found.unread {
            plan.row("the cluster", Fate::NoEqual, format!("not read: {unread}"));
        }
        settings::plan(&objects, wishes, &mut plan)?;
        // Of several that scale one workload, one that reads the count already is the one to keep,
        // else the first.
        let reading = objects.iter().filter(|of| reads_us(of).is_some());
        let mut made: BTreeSet<Target> = reading.map(|of| target(of)).collect();
        for object in objects {
            match (group(object), kind(object)) {
                ("llmd.ai", "VariantAutoscaling") => variant::plan(object, &known, &mut plan),
                ("autoscaling", "HorizontalPodAutoscaler") | ("keda.sh", "ScaledObject") => {
                    plan.scaler(object, &known, wishes, &mut made);
                }
                _ => {}
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

    fn scaler(
        &mut self,
        object: &Value,
        known: &Known,
        wishes: &Wishes,
        made: &mut BTreeSet<Target>,
    ) {
        let of = title(object);
        if is_made_by_keda(object) {
            let why = "KEDA makes it from its ScaledObject, and changes it by itself";
            return self.row(of, Fate::LeftAlone, why);
        }
        if let Some(hint) = reads_us(object) {
            return self.row(of, Fate::Stays, hint);
        }
        let model = match known.served(object) {
            Served::Model(model) => model,
            Served::Nothing(why) => return self.row(of, Fate::LeftAlone, why),
            Served::Unknown(why) => return self.row(of, Fate::NoEqual, why),
        };
        let target = target(object);
        if made.contains(&target) {
            let why = "another object here scales the same workload: keep one of them, and delete \
                       this one";
            return self.row(of, Fate::NoEqual, why);
        }
        let variant = known.variant(&target).unwrap_or(&target.2);
        let replacement = match kind(object) {
            "ScaledObject" => scaled_object::replace(object, variant, &wishes.scaler_address),
            _ => Some(hpa::replace(object, variant)),
        };
        let Some(replacement) = replacement else {
            let why = "none of its triggers is of a model server or an endpoint picker";
            return self.row(of, Fate::LeftAlone, why);
        };
        made.insert(target.clone());
        if !variant::claims(object) && known.variant(&target).is_none() {
            self.documents.push(variant::made_for(object, &model));
        }
        let reads = format!("it reads {METRIC} of variant {variant}");
        self.row(&of, Fate::Replaced, reads);
        for lost in replacement.lost {
            self.row(&of, Fate::NoEqual, lost);
        }
        let mut comments = vec![format!("From {of}, under its own name.")];
        comments.extend(replacement.comments);
        self.documents.push(Document {
            comments,
            body: Body::Object(replacement.object),
        });
    }
}

fn is_made_by_keda(object: &Value) -> bool {
    let mut owners = list(object, "/metadata/ownerReferences").iter();
    owners.any(|of| text(of, "/kind") == Some("ScaledObject"))
}

/// Whether a scaler reads what is asked for already, and what is to be known of it then.
fn reads_us(object: &Value) -> Option<String> {
    let by_metric = |of: &Value| text(of, "/external/metric/name") == Some(METRIC);
    if list(object, "/spec/metrics").iter().any(by_metric) {
        let why = format!(
            "it reads {METRIC}, which has the same name and labels; from an adapter too, as long as \
             that serves it"
        );
        return Some(why);
    }
    let triggers = list(object, "/spec/triggers").iter();
    let mut ours = triggers.filter(|of| {
        let query = text(of, "/metadata/query");
        query.is_some_and(|query| query.contains(METRIC))
            || text(of, "/metadata/variantName").is_some()
    });
    let trigger = ours.next()?;
    let pulled = text(trigger, "/type") == Some("prometheus");
    let holds = text(trigger, "/metadata/ignoreNullValues") == Some("false");
    Some(if pulled && !holds {
        format!(
            "it reads {METRIC}; set ignoreNullValues: \"false\" in that trigger, else a series that \
             is missing is read as 0"
        )
    } else {
        format!("it reads {METRIC}")
    })
}

/// What a row says of a threshold.
pub(super) fn threshold(signal: &str, at: &str) -> String {
    format!(
        "{signal} at {at}: a threshold is no promise; set objective.ttftSeconds and \
         objective.itlSeconds instead"
    )
}

/// Whether a name is that of the object itself.
pub(super) fn is_named(object: &Value, named: &str) -> bool {
    name(object) == named
}
