//! What is read of the objects that say it.

use super::*;

fn object(spec: serde_json::Value) -> APIService {
    serde_json::from_value(json!({"metadata": {"name": API_SERVICE}, "spec": spec})).unwrap()
}

#[test]
fn the_front_proxy_is_as_the_api_server_publishes_it() {
    let data = json!({
        "client-ca-file": "other",
        "requestheader-client-ca-file": "PEM",
        "requestheader-allowed-names": "[\"front-proxy-client\"]",
        "requestheader-username-headers": "[\"X-Remote-User\"]",
        "requestheader-group-headers": "[\"X-Remote-Group\"]",
        "requestheader-extra-headers-prefix": "[\"X-Remote-Extra-\"]",
    });
    let data: BTreeMap<String, String> = serde_json::from_value(data).unwrap();
    let front = FrontProxy::of(&data);
    assert_eq!(front.ca.as_deref(), Some("PEM"));
    assert_eq!(front.allowed_names, ["front-proxy-client"]);
    assert_eq!(front.username_headers, ["X-Remote-User"]);
    assert_eq!(front.group_headers, ["X-Remote-Group"]);
    assert_eq!(front.extra_header_prefixes, ["X-Remote-Extra-"]);
    assert!(front.uid_headers.is_empty(), "older API servers have none");
    assert_eq!(FrontProxy::of(&BTreeMap::new()), FrontProxy::default());
}

#[test]
fn the_owner_of_the_api_is_whose_service_it_names() {
    let ours = ("prod", "trimtab");
    let keda = object(json!({
        "service": {"namespace": "keda", "name": "keda-metrics-apiserver"},
        "groupPriorityMinimum": 100, "versionPriority": 100,
    }));
    assert_eq!(
        Owner::of(keda, ours),
        Owner::Other("keda/keda-metrics-apiserver".to_owned())
    );
    let own = object(json!({
        "service": {"namespace": "prod", "name": "trimtab"}, "caBundle": "UEVN",
        "groupPriorityMinimum": 100, "versionPriority": 100,
    }));
    let expected = Owner::Ours {
        ca_bundle: "PEM".to_owned(),
        unverified: false,
    };
    assert_eq!(Owner::of(own, ours), expected);
}
