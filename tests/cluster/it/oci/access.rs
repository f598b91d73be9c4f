//! Who may enter a registry, and whom to trust on the way.

use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use trimtab_cluster_tests::registry::{Access, PASSWORD, USER};

use super::lies::Server;
use super::*;

/// A pull secret as `kubectl create secret docker-registry` makes it.
fn secret(host: &str, password: &str) -> Result<DockerConfig, OciError> {
    let auth = STANDARD.encode(format!("{USER}:{password}"));
    let json = json!({"auths": {host: {"username": USER, "password": password, "auth": auth}}});
    DockerConfig::parse(json.to_string().as_bytes())
}

fn trusting(registry: &Registry) -> OciConfig {
    OciConfig {
        ca_file: Some(registry.authority().to_owned()),
        ..OciConfig::default()
    }
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_where_it_is_named() -> anyhow::Result<()> {
    let registry = Registry::start(RegistryOptions {
        tls: true,
        ..RegistryOptions::default()
    })
    .await?;
    let pushed = push(&registry, "team/cost:1", COMPONENT).await?;
    let reference = format!("{}/team/cost:1", registry.host());
    let config = trusting(&registry);
    assert_eq!(pull(&config, &reference).await?, pushed.fetched(COMPONENT));
    let pulled = pull(&OciConfig::default(), &reference).await;
    assert_refused(pulled, "Unreachable", "invalid peer certificate");
    Ok(())
}

#[tokio::test]
async fn a_password_comes_from_the_pull_secret() -> anyhow::Result<()> {
    let registry = Registry::start(RegistryOptions {
        access: Access::Password,
        ..RegistryOptions::default()
    })
    .await?;
    let pushed = push(&registry, "team/cost:1", COMPONENT).await?;
    let (host, config) = (registry.host(), plainly(&[registry.host()]));
    let reference = format!("{host}/team/cost:1");
    let right = [secret("other.example", "x")?, secret(host, PASSWORD)?];
    let pulled = pull_with(&config, &reference, &right).await?;
    assert_eq!(pulled, pushed.fetched(COMPONENT));
    let none = [secret("other.example", PASSWORD)?];
    let pulled = pull_with(&config, &reference, &none).await;
    assert_refused(pulled, "Unauthorized", "no pull secret has a user for it");
    let wrong = [secret(host, "hunter2")?];
    let error = pull_with(&config, &reference, &wrong).await.unwrap_err();
    assert_eq!(error.reason(), "Unauthorized");
    let told = format!("{error} {error:?} {wrong:?}");
    assert!(told.contains("it answers 401 (with the user"), "{told}");
    let encoded = STANDARD.encode(format!("{USER}:hunter2"));
    assert!(
        !told.contains("hunter2") && !told.contains(&encoded),
        "{told}"
    );
    Ok(())
}

/// Gives tokens to pull or push in one repository, to anybody or to the right user alone.
async fn tokens(anybody: bool) -> anyhow::Result<Server> {
    let right = format!("Basic {}", STANDARD.encode(format!("{USER}:{PASSWORD}")));
    let answer = async move |headers: HeaderMap, Query(asked): Query<BTreeMap<String, String>>| {
        let is_right = headers.get("authorization").is_some_and(|is| *is == right);
        let scope = asked.get("scope").map_or("", String::as_str);
        let is_ours = matches!(
            scope,
            "repository:team/cost:pull" | "repository:team/cost:pull,push"
        );
        if asked.get("service").is_some_and(|is| is == "registry")
            && is_ours
            && (anybody || is_right)
        {
            Ok(json!({"token": "opaque"}).to_string())
        } else {
            Err(StatusCode::UNAUTHORIZED)
        }
    };
    Server::start(Router::new().route("/token", get(answer))).await
}

async fn with_tokens(service: &Server) -> anyhow::Result<Registry> {
    let realm = format!("http://{}/token", service.host());
    Registry::start(RegistryOptions {
        access: Access::Token { realm },
        ..RegistryOptions::default()
    })
    .await
}

#[tokio::test]
async fn a_token_is_given_to_the_user_of_the_pull_secret() -> anyhow::Result<()> {
    let service = tokens(false).await?;
    let registry = with_tokens(&service).await?;
    let pushed = push(&registry, "team/cost:1", COMPONENT).await?;
    let (host, config) = (registry.host(), plainly(&[registry.host()]));
    let reference = format!("{host}/team/cost:1");
    let right = [secret(host, PASSWORD)?];
    let pulled = pull_with(&config, &reference, &right).await?;
    assert_eq!(pulled, pushed.fetched(COMPONENT));
    let pulled = pull(&config, &reference).await;
    assert_refused(pulled, "Unauthorized", "its token service answers 401");
    Ok(())
}

#[tokio::test]
async fn a_token_is_given_to_anybody_where_the_registry_is_open() -> anyhow::Result<()> {
    let service = tokens(true).await?;
    let registry = with_tokens(&service).await?;
    let pushed = push(&registry, "team/cost:1", COMPONENT).await?;
    let reference = format!("{}/team/cost:1", registry.host());
    let pulled = pull(&plainly(&[registry.host()]), &reference).await?;
    assert_eq!(pulled, pushed.fetched(COMPONENT));
    Ok(())
}

/// A server that has one blob for all, and what it was asked with.
async fn store() -> anyhow::Result<(Server, Arc<Mutex<Vec<HeaderMap>>>)> {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let answer = async move |headers: HeaderMap| {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push(headers);
        COMPONENT
    };
    Ok((Server::start(Router::new().fallback(answer)).await?, asked))
}

#[tokio::test]
async fn a_store_beside_the_registry_gets_no_password() -> anyhow::Result<()> {
    let (store, asked) = store().await?;
    let registry = Registry::start(RegistryOptions {
        access: Access::Password,
        store: Some(format!("http://{}", store.host())),
        ..RegistryOptions::default()
    })
    .await?;
    let pushed = push(&registry, "team/cost:1", COMPONENT).await?;
    let (host, config) = (registry.host(), plainly(&[registry.host()]));
    let secrets = [secret(host, PASSWORD)?];
    let pulled = pull_with(&config, &format!("{host}/team/cost:1"), &secrets).await?;
    assert_eq!(pulled, pushed.fetched(COMPONENT));
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].get("authorization"), None);
    Ok(())
}

#[tokio::test]
async fn nothing_leads_from_tls_to_a_plain_server() -> anyhow::Result<()> {
    let (store, asked) = store().await?;
    let url = format!("http://{}", store.host());
    let registry = Registry::start(RegistryOptions {
        tls: true,
        store: Some(url.clone()),
        ..RegistryOptions::default()
    })
    .await?;
    push(&registry, "team/cost:1", COMPONENT).await?;
    let config = trusting(&registry);
    let pulled = pull(&config, &format!("{}/team/cost:1", registry.host())).await;
    assert_refused(pulled, "InvalidAnswer", "redirects from https to http");

    let registry = Registry::start(RegistryOptions {
        tls: true,
        access: Access::Token { realm: url },
        ..RegistryOptions::default()
    })
    .await?;
    let (host, config) = (registry.host(), trusting(&registry));
    let secrets = [secret(host, PASSWORD)?];
    let pulled = pull_with(&config, &format!("{host}/team/cost:1"), &secrets).await;
    assert_refused(pulled, "InvalidAnswer", "token service is not on https");
    assert!(asked.lock().unwrap().is_empty());
    Ok(())
}
