//! Each way to get no answer has its own error, which says what to do.

use tokio::net::TcpListener;

use super::*;

/// The error of a tick whose every query is answered so.
async fn met(response: Vec<u8>) -> QueryError {
    let server = Server::start(move |_| response.clone()).await;
    common_error(&ask(&config(&server.url)).await)
}

#[tokio::test]
async fn a_port_where_nobody_listens_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = common_error(&ask(&config(&url)).await);
    assert_eq!(error.reason(), "unreachable");
    let said = error.to_string();
    assert!(said.contains(&url) && said.contains("refused"), "{said}");
}

#[tokio::test]
async fn a_server_that_says_nothing_times_out() {
    let server = Server::start_slow(Duration::from_secs(60), |_| {}).await;
    let hasty = PrometheusConfig {
        query_timeout_seconds: 0.1,
        ..config(&server.url)
    };
    let error = common_error(&ask(&hasty).await);
    assert!(
        matches!(error, QueryError::Timeout { seconds: 0.1, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_tick_ends_at_its_deadline_whatever_is_under_way() {
    let server = Server::start_slow(Duration::from_secs(60), |_| {}).await;
    let hasty = PrometheusConfig {
        deadline_seconds: 0.1,
        concurrency: 2,
        ..config(&server.url)
    };
    let error = common_error(&ask(&hasty).await);
    assert!(
        matches!(error, QueryError::Deadline { seconds: 0.1 }),
        "{error}"
    );
}

#[tokio::test]
async fn a_proxys_error_is_told_by_its_status() {
    let error = met(with_head(
        503,
        "text/html",
        "<h1>no\n healthy upstream</h1>",
    ))
    .await;
    let QueryError::Status {
        status, excerpt, ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(
        (*status, excerpt.as_str()),
        (503, "<h1>no healthy upstream</h1>")
    );
    let error = met(json(401, r#"{"message":"who are you?"}"#)).await;
    assert_eq!(error.reason(), "status");
    assert!(error.to_string().contains("who are you?"), "{error}");
}

#[tokio::test]
async fn what_prometheus_refuses_is_told_in_its_words() {
    for status in [200, 400, 422, 503] {
        let body = r#"{"status":"error","errorType":"execution","error":"too many samples"}"#;
        let error = met(json(status, body)).await;
        let expected = QueryError::Refused {
            kind: "execution".to_owned(),
            message: "too many samples".to_owned(),
        };
        assert_eq!(error, expected);
    }
}

#[tokio::test]
async fn a_page_is_not_an_answer() {
    let page = format!("<html>{}</html>", "Sign in ".repeat(100));
    let error = met(with_head(200, "text/html; charset=utf-8", &page)).await;
    let QueryError::NotJson {
        content_type,
        excerpt,
        ..
    } = &error
    else {
        panic!("{error}");
    };
    assert_eq!(content_type, "text/html; charset=utf-8");
    assert_eq!(excerpt.chars().count(), 200);
}

#[tokio::test]
async fn redirects_are_told_and_not_followed() {
    let response = b"HTTP/1.1 302 Found\r\nlocation: /login\r\ncontent-length: 0\r\n\r\n";
    let error = met(response.to_vec()).await;
    assert_eq!(error.reason(), "redirect");
    assert!(error.to_string().contains("`/login`"), "{error}");
}

#[tokio::test]
async fn results_of_another_type_are_told() {
    for (kind, result) in [
        ("matrix", r#"[{"metric":{},"values":[[1,"2"]]}]"#),
        ("matrix", "[]"),
        ("scalar", r#"[1,"2"]"#),
        ("string", r#"[1,"text"]"#),
    ] {
        let body =
            format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":{result}}}}}"#);
        let expected = QueryError::WrongType {
            found: kind.to_owned(),
        };
        assert_eq!(met(json(200, &body)).await, expected);
    }
}

#[tokio::test]
async fn json_that_is_no_answer_of_prometheus_is_malformed() {
    let vector = |series: &str| {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{series}]}}}}"#)
    };
    for body in [
        "{}".to_owned(),
        "[1, 2]".to_owned(),
        r#"{"status":"success"}"#.to_owned(),
        vector(r#"{"metric":{"pod":"a"},"value":[1,"2"]}"#),
        vector(r#"{"metric":{"quantity":"surprise"},"value":[1,"2"]}"#),
        vector(r#"{"metric":{"quantity":"waiting"},"value":[1,"two"]}"#),
        vector(r#"{"metric":{"quantity":"waiting"},"value":[1]}"#),
        vector(r#"{"metric":{"quantity":"waiting","pod":7},"value":[1,"2"]}"#),
    ] {
        let error = met(json(200, &body)).await;
        assert_eq!(error.reason(), "malformed", "{body}: {error}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_broken() {
    let mut cut = json(200, EMPTY);
    cut.truncate(cut.len() - 10);
    assert_eq!(met(cut).await.reason(), "broken");
}

#[tokio::test]
async fn json_that_breaks_off_is_no_json() {
    let error = met(json(200, r#"{"status":"success","data":{"resu"#)).await;
    assert_eq!(error.reason(), "not-json");
}

#[tokio::test]
async fn answers_are_read_no_further_than_the_limit() {
    let endless = format!("{}{}", EMPTY, " ".repeat(5000));
    let server = Server::start(move |_| json(200, &endless)).await;
    let small = PrometheusConfig {
        max_response_bytes: 1000,
        ..config(&server.url)
    };
    let error = common_error(&ask(&small).await);
    assert_eq!(error, QueryError::TooLarge { limit: 1000 });
}
