//! What of a cluster is looked at.

use std::collections::{BTreeMap, BTreeSet};

/// The part of the cluster that this operator is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Only objects labelled with it are taken; `None` takes all.
    pub controller_instance: Option<String>,
    /// Namespaces that are left alone.
    pub excluded_namespaces: BTreeSet<String>,
    /// Labels that a node must have for its accelerators to count.
    pub node_selector: BTreeMap<String, String>,
}
