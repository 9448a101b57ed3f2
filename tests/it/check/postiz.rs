//! Postiz.

use stand_in::{Fault, Metadata};

use super::{answering, check};
use crate::support::{Stage, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn a_postiz_that_does_not_answer_as_one_fails_with_its_cause() {
    let mut stage = Stage::new().await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = |port| format!("http://localhost:{port}/api");
    for (api, words) in [
        (at(free_port()), ["can't be reached", "refused"]),
        (at(silent.local_addr().unwrap().port()), ["does not answer in time", "Postiz's log"]),
        (stage.postiz.frontend_url(), ["status 200", "https://your-host/api"]),
        (answering("502 Bad Gateway", "").await, ["status 502", "Look at Postiz"]),
        (answering("403 Forbidden\r\ncf-mitigated: challenge", "").await, ["cf-mitigated: challenge", "Cloudflare"]),
    ] {
        check(&mut stage, &[("POSTIZ_API_URL", &api)]).await.blames("postiz.api", &words);
    }
}

/// The framework's 404 repeats the query, and so the words by which Postiz refuses a client.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_path_of_the_api_is_blamed_with_and_without_an_app() {
    let mut stage = Stage::new().await;
    let not_found = r#"{"message":"Cannot GET /v1/x?client_id=a&redirect_uri=b","error":"Not Found","statusCode":404}"#;
    let api = answering("404 Not Found\r\nContent-Type: application/json", not_found).await + "/api/v1";
    for with_app in [true, false] {
        if !with_app {
            stage.remove_app();
        }
        let report = check(&mut stage, &[("POSTIZ_API_URL", &api)]).await;
        report.blames("postiz.api", &["status 404", "https://your-host/api"]);
        assert!(!report.text.contains("make an OAuth app"), "{}", report.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_postiz_does_not_know_so_fails_with_its_cause() {
    const ID: &str = "POSTIZ_OAUTH_CLIENT_ID";
    let mut stage = Stage::new().await;
    for (instead, words) in [
        ((ID, "pcd_unknown"), ["no app", "copy its client ID"]),
        ((ID, "0oa1b2c3"), ["no app", "Don't share Postiz's environment"]),
        (("POSTIZ_OAUTH_CLIENT_SECRET", "hunter2"), ["invalid_client", "its secret, or a new one"]),
    ] {
        let report = check(&mut stage, &[instead]).await;
        report.blames("postiz.client", &words);
        assert!(!report.text.contains("0oa1b2c3"), "it may be another provider's: {}", report.text);
    }
    // Postiz shows the callback of an app that was made by hand only.
    let old = "https://old.example.com/device/callback";
    stage.postiz.set_redirect_uri(old);
    check(&mut stage, &[]).await.blames("postiz.client", &["knows no app", "redirect URL"]);
    stage.postiz.set_client_id("pca_tests");
    check(&mut stage, &[(ID, "pca_tests")]).await.blames("postiz.client", &[old]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_end_that_is_not_postizs_own_or_not_known_fails_with_the_right_one() {
    let mut stage = Stage::new().await;
    let own = stage.postiz.frontend_url();
    let other = [("POSTIZ_FRONTEND_URL", "http://localhost:1")];
    check(&mut stage, &other).await.blames("postiz.front_end", &[&own]);
    let unset = [("POSTIZ_FRONTEND_URL", "")];
    check(&mut stage, &unset).await.says("postiz.front_end", "ok", &[&own]);
    stage.postiz.set_metadata(Metadata::Missing);
    check(&mut stage, &unset).await.blames("postiz.front_end", &["Set POSTIZ_FRONTEND_URL"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_address_that_only_this_network_knows_is_warned_of_unless_terminals_get_another() {
    let mut stage = Stage::new().await;
    let outside = ("SERVER_URL", "https://auth.invalid");
    let public = ("POSTIZ_PUBLIC_API_URL", "https://postiz.example.com/api");
    for (variables, verdict, words) in [
        (&[outside][..], "warn", &["POSTIZ_PUBLIC_API_URL"][..]),
        (&[outside, public], "ok", &[]),
        // All is on one machine.
        (&[], "ok", &[]),
    ] {
        check(&mut stage, variables).await.says("postiz.public_api", verdict, words);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postiz_that_registers_no_client_fails_with_the_next_step() {
    let mut stage = Stage::new().await;
    stage.remove_app();
    let callback = format!("{}/device/callback", stage.balancer.url());
    let steps = ["Developers → Apps", callback.as_str(), "POSTIZ_OAUTH_CLIENT_ID"];
    stage.postiz.set_metadata(Metadata::Missing);
    check(&mut stage, &[]).await.blames("postiz.client", &steps);
    stage.postiz.set_metadata(Metadata::WithRegistration);
    stage.postiz.next_registrations([Fault::BadGateway]);
    check(&mut stage, &[]).await.blames("postiz.client", &["status 502", "log"]);
    let plain = [("SERVER_URL", "http://192.168.1.5:3111")];
    check(&mut stage, &plain).await.blames("postiz.client", &["must be https", "SERVER_URL"]);
    stage.postiz.verify_domains();
    let refused = check(&mut stage, &[]).await;
    refused.blames("postiz.client", &[&steps[..], &["DCR_VERIFIED_DOMAINS", "invalid_redirect_uri"]].concat());
}
