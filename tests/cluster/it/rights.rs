//! The operator with the rights that its documentation names, and no others.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::core::v1::{ConfigMap, Event};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding};
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};
use trimtab_cluster_tests::control_plane::Options;
use trimtab_cluster_tests::fixtures::crds::Crd;
use trimtab_cluster_tests::wait::{DEADLINE, wait_until};
use trimtab_cluster_tests::{ControlPlane, Namespace, Operator, in_namespace};

use crate::decisions::{claim, grown, install_own, operate_everywhere, operate_with, with_chat};
use crate::scenario::Chat;

const DOCUMENTED: &str = include_str!("../../../host/cluster/README.md");

/// Groups of kinds that not every cluster has.
const OPTIONAL: [&str; 3] = [
    "keda.sh",
    "leaderworkerset.x-k8s.io",
    "inference.networking.x-k8s.io",
];

/// Of rules with these no namespace can have its own.
const NOT_IN_NAMESPACES: [&str; 7] = [
    "apiservices",
    "subjectaccessreviews",
    "tokenreviews",
    "namespaces",
    "nodes",
    "resourceslices",
    "customresourcedefinitions",
];

pub(crate) fn documented() -> anyhow::Result<ClusterRole> {
    let (_, rest) = DOCUMENTED.split_once("```yaml\n").context("no YAML")?;
    let (yaml, _) = rest.split_once("```").context("no end of the YAML")?;
    Ok(serde_saphyr::from_str(yaml)?)
}

/// Whom an operator runs as.
struct User<'a> {
    plane: &'a ControlPlane,
    namespace: &'a Namespace,
    name: String,
}

impl<'a> User<'a> {
    fn of(plane: &'a ControlPlane, namespace: &'a Namespace) -> Self {
        let name = format!("operator-of-{}", namespace.name());
        Self {
            plane,
            namespace,
            name,
        }
    }

    /// The binding of a role to this user.
    fn bound(&self, kind: &str) -> Value {
        let name = &self.name;
        json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}],
        })
    }

    async fn grant(&self, mut role: ClusterRole) -> anyhow::Result<()> {
        let client = self.plane.client().await?;
        let rule = role.rules.iter().flatten().last().cloned();
        let rule = rule.context("a role without rules")?;
        role.metadata.name = Some(self.name.clone());
        let roles: Api<ClusterRole> = Api::all(client.clone());
        roles.create(&PostParams::default(), &role).await?;
        let binding: ClusterRoleBinding = serde_json::from_value(self.bound("ClusterRole"))?;
        let bindings: Api<ClusterRoleBinding> = Api::all(client);
        bindings.create(&PostParams::default(), &binding).await?;
        self.granted(None, &rule).await
    }

    async fn grant_in_namespace(&self, rules: Vec<PolicyRule>) -> anyhow::Result<()> {
        let rule = rules.last().cloned().context("no rules")?;
        let mut role = Role {
            rules: Some(rules),
            ..Role::default()
        };
        role.metadata.name = Some(self.name.clone());
        let roles: Api<Role> = self.namespace.api();
        roles.create(&PostParams::default(), &role).await?;
        let binding: RoleBinding = serde_json::from_value(self.bound("Role"))?;
        let bindings: Api<RoleBinding> = self.namespace.api();
        bindings.create(&PostParams::default(), &binding).await?;
        self.granted(Some(self.namespace.name()), &rule).await
    }

    /// The API server learns of roles by watching them, so somewhat later than they are made.
    async fn granted(&self, namespace: Option<&str>, rule: &PolicyRule) -> anyhow::Result<()> {
        let first = |of: &Option<Vec<String>>| of.iter().flatten().next().cloned();
        let asked: SubjectAccessReview = serde_json::from_value(json!({
            "spec": {
                "user": self.name,
                "resourceAttributes": {
                    "namespace": namespace,
                    "group": first(&rule.api_groups),
                    "resource": first(&rule.resources),
                    "verb": rule.verbs.first(),
                },
            },
        }))?;
        let reviews: Api<SubjectAccessReview> = Api::all(self.plane.client().await?);
        wait_until("the rights are known", DEADLINE, async || {
            let answer = reviews.create(&PostParams::default(), &asked).await?;
            let allowed = answer.status.is_some_and(|status| status.allowed);
            ensure!(allowed, "{:?}", asked.spec.resource_attributes);
            Ok(())
        })
        .await
    }

    fn kubeconfig(&self) -> anyhow::Result<String> {
        let kubeconfig = self.plane.kubeconfig_of(&self.name, &[])?;
        let kubeconfig = kubeconfig.to_str().context("a path that is no text")?;
        Ok(kubeconfig.to_owned())
    }

    /// An operator for this namespace.
    async fn operate(&self, chat: &Chat) -> anyhow::Result<Operator> {
        let flags = ["--listen-metrics=0"];
        let kubeconfig = self.kubeconfig()?;
        let environment = [("KUBECONFIG", kubeconfig.as_str())];
        operate_with(self.plane, self.namespace, chat, &flags, &environment).await
    }

    /// One for all namespaces.
    async fn operate_everywhere(&self, chat: &Chat) -> anyhow::Result<Operator> {
        let flags = ["--listen-metrics=0"];
        let kubeconfig = self.kubeconfig()?;
        let environment = [("KUBECONFIG", kubeconfig.as_str())];
        operate_everywhere(self.plane, self.namespace, chat, &flags, &environment).await
    }
}

/// It decides, remembers and tells, and is refused nothing.
async fn works(namespace: &Namespace, chat: &Chat, operator: &Operator) -> anyhow::Result<()> {
    grown(namespace, chat).await?;
    let states: Api<ConfigMap> = namespace.api();
    let events: Api<Event> = namespace.api();
    wait_until(
        "its memory and its events are there",
        DEADLINE,
        async || {
            let all = ListParams::default();
            let states = states.list(&all).await?;
            let mut names = states.iter().map(ResourceExt::name_any);
            ensure!(
                names.any(|name| name.starts_with("trimtab-state")),
                "no state"
            );
            let events = events.list(&all).await?;
            let mut objects = events.iter().map(|event| &event.involved_object);
            let of_variant = |kind: Option<&str>| kind == Some("VariantAutoscaling");
            ensure!(objects.any(|of| of_variant(of.kind.as_deref())), "no event");
            Ok(())
        },
    )
    .await?;
    let log = operator.log(usize::MAX).await;
    let refused = log
        .lines()
        .find(|line| line.to_lowercase().contains("forbidden"));
    ensure!(refused.is_none(), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn roles_in_the_namespaces_that_are_named_are_enough() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let mut role = documented()?;
        let rules = role.rules.take().unwrap_or_default();
        let everywhere = |rule: &PolicyRule| {
            let mut resources = rule.resources.iter().flatten();
            resources.any(|of| NOT_IN_NAMESPACES.contains(&of.as_str()))
        };
        let (everywhere, own) = rules.into_iter().partition(everywhere);
        role.rules = Some(everywhere);
        let user = User::of(plane, namespace);
        user.grant(role).await?;
        user.grant_in_namespace(own).await?;
        namespace
            .apply_json(json!({
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "wva-saturation-scaling-config"},
                "data": {"default": "kvCacheThreshold: 0.7"},
            }))
            .await?;
        let operator = user.operate(chat).await?;
        operator.wait_for_log("kvCacheThreshold").await?;
        works(namespace, chat, &operator).await
    })
    .await
}

#[tokio::test]
async fn kinds_that_are_not_installed_need_no_rights() -> anyhow::Result<()> {
    let options = Options {
        crds: vec![Crd::InferencePool],
        ..Options::default()
    };
    let plane = ControlPlane::start(options).await?;
    install_own(&plane).await?;
    in_namespace(&plane, async |namespace| {
        let chat = Chat::start(&plane, namespace, 1, 10.0).await?;
        claim(namespace).await?;
        let mut role = documented()?;
        for rule in role.rules.iter_mut().flatten() {
            let groups = rule.api_groups.iter_mut().flatten();
            // A rule without a group is refused.
            groups
                .filter(|group| OPTIONAL.contains(&group.as_str()))
                .for_each(|group| *group = "nothing.example.com".to_owned());
        }
        let user = User::of(&plane, namespace);
        user.grant(role).await?;
        let operator = user.operate_everywhere(&chat).await?;
        works(namespace, &chat, &operator).await
    })
    .await
}

#[tokio::test]
async fn a_right_that_is_missing_is_named_until_it_is_granted() -> anyhow::Result<()> {
    with_chat(async |plane, namespace, chat| {
        let mut role = documented()?;
        for rule in role.rules.iter_mut().flatten() {
            let of_keda = |groups: &Vec<String>| groups.iter().any(|group| group == "keda.sh");
            if rule.api_groups.as_ref().is_some_and(of_keda) {
                rule.verbs = vec!["get".to_owned()];
            }
        }
        let user = User::of(plane, namespace);
        user.grant(role).await?;
        let operator = user.operate(chat).await?;
        operator
            .wait_for_log("grant `list` and `watch` of it")
            .await?;
        let log = operator.log(usize::MAX).await;
        assert!(log.contains("scaledobjects.keda.sh is forbidden"), "{log}");
        assert!(
            !log.contains("the cluster is known"),
            "KEDA may have claims: {log}"
        );
        let client = plane.client().await?;
        let roles: Api<ClusterRole> = Api::all(client);
        let mut granted = documented()?;
        granted.metadata.name = Some(user.name.clone());
        granted.metadata.resource_version = roles.get(&user.name).await?.resource_version();
        roles
            .replace(&user.name, &PostParams::default(), &granted)
            .await?;
        operator.wait_for_log("the cluster is known").await?;
        roles.delete(&user.name, &DeleteParams::default()).await?;
        Ok(())
    })
    .await
}
