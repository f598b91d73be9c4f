//! What the operator must be allowed: the one list that its documentation, the chart and whoever
//! checks a cluster go by.

mod review;
#[cfg(test)]
mod tests;

pub use self::review::{Who, allowed};

use crate::delegation;

/// Verbs on a kind, and what becomes possible with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// Empty for the core group.
    pub group: &'static str,
    /// With the subresource, where it is one.
    pub resource: &'static str,
    pub verbs: &'static [&'static str],
    pub scope: Scope,
    pub need: Need,
    pub purpose: &'static str,
}

/// Where it must be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// By a ClusterRole: of no namespace.
    Cluster,
    /// In every namespace that is watched.
    Watched,
    /// In the namespace of the Lease and of what is remembered.
    Own,
    /// In kube-system.
    KubeSystem,
}

/// What of the operator goes without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Nothing: it is not ready, or does not decide.
    Always,
    /// The same, where the cluster has the kind.
    WithKind,
    /// GPUs are not known.
    Inventory,
    /// Pools are not started from zero, nor scaled directly.
    Scaling,
    /// Tolerances of HPAs stay as they are.
    Tolerance,
    /// HPAs cannot read what is asked for.
    ExternalMetrics,
    /// The same, where the certificate is one that is made.
    OwnCertificate,
    /// Services do not find the leader.
    LeaderLabel,
    /// A comfort; what is lost without it.
    Comfort(&'static str),
}

const READ: &[&str] = &["list", "watch"];
const SCALE: &[&str] = &["get", "update"];
const POOLS: &str = "which variants make up a pool";
const POLICIES: &str = "what pools are decided with";
const TARGETS: &str = "what is scaled, and the way from a pod up to it";

const fn watched(
    group: &'static str,
    resource: &'static str,
    need: Need,
    purpose: &'static str,
) -> Right {
    right((group, resource), READ, Scope::Watched, need, purpose)
}

const fn scaled(group: &'static str, resource: &'static str) -> Right {
    let purpose = "scaling from zero, and pools that are scaled directly";
    right(
        (group, resource),
        SCALE,
        Scope::Watched,
        Need::Scaling,
        purpose,
    )
}

const fn right(
    (group, resource): (&'static str, &'static str),
    verbs: &'static [&'static str],
    scope: Scope,
    need: Need,
    purpose: &'static str,
) -> Right {
    Right {
        group,
        resource,
        verbs,
        scope,
        need,
        purpose,
    }
}

/// All of them.
pub const RIGHTS: &[Right] = &[
    watched(
        "llmd.ai",
        "variantautoscalings",
        Need::WithKind,
        "who asks for scaling",
    ),
    right(
        ("llmd.ai", "variantautoscalings/status"),
        &["patch"],
        Scope::Watched,
        Need::WithKind,
        "telling what is asked for, and why",
    ),
    watched(
        "autoscaling",
        "horizontalpodautoscalers",
        Need::Always,
        "who asks for scaling, and scales",
    ),
    watched(
        "keda.sh",
        "scaledobjects",
        Need::WithKind,
        "who asks for scaling, and scales",
    ),
    watched("apps", "deployments", Need::Always, TARGETS),
    watched("apps", "statefulsets", Need::Always, TARGETS),
    watched("apps", "replicasets", Need::Always, TARGETS),
    watched(
        "leaderworkerset.x-k8s.io",
        "leaderworkersets",
        Need::WithKind,
        TARGETS,
    ),
    watched(
        "inference.networking.k8s.io",
        "inferencepools",
        Need::WithKind,
        POOLS,
    ),
    watched(
        "inference.networking.x-k8s.io",
        "inferencepools",
        Need::WithKind,
        POOLS,
    ),
    watched("trimtab.dev", "scalingpolicies", Need::WithKind, POLICIES),
    watched("trimtab.dev", "poolpolicies", Need::WithKind, POLICIES),
    right(
        ("trimtab.dev", "scalingpolicies/status"),
        &["patch"],
        Scope::Watched,
        Need::WithKind,
        "telling what became of policies",
    ),
    right(
        ("trimtab.dev", "poolpolicies/status"),
        &["patch"],
        Scope::Watched,
        Need::WithKind,
        "telling what became of policies",
    ),
    watched(
        "",
        "services",
        Need::Always,
        "the endpoint picker of a pool",
    ),
    watched(
        "",
        "pods",
        Need::Always,
        "which replicas there are, and which serve",
    ),
    watched(
        "resource.k8s.io",
        "resourceclaims",
        Need::Inventory,
        "which devices are held",
    ),
    watched(
        "resource.k8s.io",
        "resourceclaimtemplates",
        Need::Inventory,
        "which devices a replica asks for",
    ),
    right(
        ("", "configmaps"),
        &["get", "list", "watch"],
        Scope::Watched,
        Need::Comfort("settings of WVA are not taken over, nor policies out of ConfigMaps loaded"),
        "settings that users of WVA have, and policies in ConfigMaps",
    ),
    right(
        ("events.k8s.io", "events"),
        &["create"],
        Scope::Watched,
        Need::Comfort("what happened stands in the log and in statuses alone"),
        "telling what happened",
    ),
    scaled("apps", "deployments/scale"),
    scaled("apps", "statefulsets/scale"),
    scaled("leaderworkerset.x-k8s.io", "leaderworkersets/scale"),
    right(
        ("autoscaling", "horizontalpodautoscalers"),
        &["patch"],
        Scope::Watched,
        Need::Tolerance,
        "setting tolerances of HPAs to zero",
    ),
    right(
        ("", "namespaces"),
        READ,
        Scope::Cluster,
        Need::Comfort(
            "that a namespace says it is excluded is not seen, where `namespaces` is set",
        ),
        "which namespaces are left alone",
    ),
    right(
        ("", "nodes"),
        READ,
        Scope::Cluster,
        Need::Inventory,
        "which GPUs there are",
    ),
    right(
        ("resource.k8s.io", "resourceslices"),
        READ,
        Scope::Cluster,
        Need::Inventory,
        "which devices there are",
    ),
    right(
        ("apiextensions.k8s.io", "customresourcedefinitions"),
        &["get"],
        Scope::Cluster,
        Need::Comfort("the count of another kind of target is looked for at `.spec.replicas`"),
        "where another kind of target keeps its count",
    ),
    right(
        ("authentication.k8s.io", "tokenreviews"),
        &["create"],
        Scope::Cluster,
        Need::ExternalMetrics,
        "who asks for external metrics",
    ),
    right(
        ("authorization.k8s.io", "subjectaccessreviews"),
        &["create"],
        Scope::Cluster,
        Need::ExternalMetrics,
        "whether they may",
    ),
    right(
        ("apiregistration.k8s.io", "apiservices"),
        &["get"],
        Scope::Cluster,
        Need::ExternalMetrics,
        "who serves external metrics",
    ),
    right(
        ("apiregistration.k8s.io", "apiservices"),
        &["patch"],
        Scope::Cluster,
        Need::OwnCertificate,
        "vouching for our certificate",
    ),
    right(
        ("", "secrets"),
        &["get", "create", "update"],
        Scope::Own,
        Need::OwnCertificate,
        "the certificate that is made",
    ),
    right(
        ("coordination.k8s.io", "leases"),
        &["get", "create", "update"],
        Scope::Own,
        Need::Always,
        "which replica decides",
    ),
    right(
        ("", "configmaps"),
        &["get", "list", "create", "update", "delete"],
        Scope::Own,
        Need::Comfort("a restart forgets what was learned"),
        "what is remembered over a restart",
    ),
    right(
        ("", "pods"),
        &["list", "patch"],
        Scope::Own,
        Need::LeaderLabel,
        "the label by which Services find the leader",
    ),
];

/// What the role extension-apiserver-authentication-reader grants in kube-system, which external
/// metrics need besides.
pub const FRONT_PROXY: Right = Right {
    group: "",
    resource: "configmaps",
    verbs: &["get"],
    scope: Scope::KubeSystem,
    need: Need::ExternalMetrics,
    purpose: "how the API server passes on who asks",
};

impl Right {
    /// The name of the object that it may be limited to.
    #[must_use]
    pub fn object(&self) -> Option<&'static str> {
        match self.resource {
            "apiservices" => Some(delegation::API_SERVICE),
            "configmaps" if self.scope == Scope::KubeSystem => Some(delegation::FRONT_PROXY),
            _ => None,
        }
    }
}
