//! When the cluster is known.

use super::*;

const FORBIDDEN: &str = "forbidden";

/// How watches stand, by kind and namespace.
fn kinds<'a>(states: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>) -> Kinds {
    let mut kinds = Kinds::new();
    for (kind, namespace, state) in states {
        let state = WatchState {
            synced: state == "synced",
            absent: state == "absent",
            error: (state == FORBIDDEN).then(|| format!("403 in `{namespace}`")),
        };
        let of_kind = kinds.entry(kind.to_owned()).or_default();
        of_kind.insert(namespace.to_owned(), state);
    }
    kinds
}

#[test]
fn a_kind_is_listed_where_it_is_in_every_namespace() {
    let with = |deployments: &str, pools: &str, namespaces: &str| {
        let others = kinds::REQUIRED.iter().map(|kind| (*kind, "a", "synced"));
        let in_b = [
            ("Deployment", "b", deployments),
            ("InferencePool", "b", pools),
            ("Namespace", "a", namespaces),
        ];
        unlisted(&kinds(others.chain(in_b)), true)
    };
    let nothing: [&str; 0] = [];
    assert_eq!(with("synced", "synced", "synced"), nothing);
    assert_eq!(with("synced", "absent", FORBIDDEN), nothing);
    assert_eq!(
        with("absent", "synced", "synced"),
        ["Deployment: not listed yet"]
    );
    assert_eq!(with("new", "new", "new").len(), 3);
    let forbidden = "InferencePool: 403 in `b`";
    assert_eq!(with("synced", FORBIDDEN, "synced"), [forbidden]);
    let every = kinds::REQUIRED.len();
    assert_eq!(unlisted(&Kinds::new(), false).len(), every);
    let namespaces = kinds([("Namespace", "", FORBIDDEN)]);
    assert_eq!(unlisted(&namespaces, false).len(), every);
}

#[test]
fn what_is_not_there_is_looked_for_at_longer_and_longer_intervals() {
    let mut wait = Wait::default();
    let looks = (0..130).filter(|_| wait.is_over());
    assert_eq!(looks.collect::<Vec<_>>(), [0, 1, 3, 7, 15, 31, 63, 95, 127]);
}

#[test]
fn gpus_are_known_only_where_all_that_says_something_of_them_is() {
    // Situation 2.
    let with = |node, pod, slice, claim, template| {
        let unseen = unseen(&kinds([
            ("Node", "", node),
            ("Pod", "", pod),
            ("ResourceSlice", "", slice),
            ("ResourceClaim", "", claim),
            ("ResourceClaimTemplate", "", template),
        ]));
        let of_forbidden = [node, pod, slice, claim, template].contains(&FORBIDDEN);
        let told = unseen.as_ref().is_some_and(|why| why.contains("403"));
        assert_eq!(told, of_forbidden, "{unseen:?}");
        unseen.is_none()
    };
    assert!(with("synced", "synced", "synced", "synced", "synced"));
    assert!(with("synced", "synced", "absent", "absent", "absent"));
    assert!(!with(FORBIDDEN, "synced", "absent", "absent", "absent"));
    assert!(!with("synced", FORBIDDEN, "absent", "absent", "absent"));
    assert!(!with("synced", "synced", FORBIDDEN, "absent", "absent"));
    assert!(!with("synced", "synced", "synced", FORBIDDEN, "synced"));
    assert!(!with("synced", "synced", "synced", "synced", "new"));
    assert!(unseen(&Kinds::new()).is_some_and(|why| why.contains("Node: not listed yet")));
}
