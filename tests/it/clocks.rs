//! The replicas' clocks are wrong; Postgres' is the only one that counts.

use std::collections::HashMap;
use std::process::Command;

use crate::support::{Browser, Login, Page, Poll, Replica, Stage, eventually};

/// What makes a process see another time; its timers run as ever.
fn fake(offset: &str) -> HashMap<&'static str, String> {
    let output = Command::new("faketime").args(["-f", "+0", "printenv", "LD_PRELOAD"]).output();
    let library = output.expect("faketime on the PATH").stdout;
    HashMap::from([
        ("LD_PRELOAD", String::from_utf8(library).unwrap().trim().to_owned()),
        ("FAKETIME", offset.to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ])
}

/// The second of the day that stands in the log's first line: `{"timestamp":"2026-01-01T12:34:56.789Z",..`.
fn first_second(replica: &Replica) -> i64 {
    let log = replica.log();
    let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    let stamp = line["timestamp"].as_str().unwrap();
    let number = |range: std::ops::Range<usize>| stamp[range].parse::<i64>().unwrap();
    // The day counts too: midnight may lie between the two clocks.
    ((number(8..10) * 24 + number(11..13)) * 60 + number(14..16)) * 60 + number(17..19)
}

async fn code_page(replica: &str, login: &Login) -> Page {
    Browser::new().visit(&format!("{replica}/device/verify?code={}", login.user_code)).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs faketime"]
async fn replicas_ten_minutes_apart_agree_on_every_expiry() {
    let mut stage = Stage::with(0, &[]).await;
    for offset in ["+300s", "-300s"] {
        stage.variables().extend(fake(offset));
        stage.start_replica().await;
    }
    let apart = first_second(&stage.replicas[0]) - first_second(&stage.replicas[1]);
    assert!((590..=660).contains(&apart), "their own clocks are ten minutes apart: {apart} s");
    let (fast, slow) = (&*stage.replicas[0].url(), &*stage.replicas[1].url());
    let pending = Poll::error("authorization_pending");
    let login = stage.cli().open_by_form().await;
    assert_eq!(login.answer["expires_in"], 900);

    // A minute is left, by any clock.
    stage.database.run("UPDATE device_requests SET expires_at = now() + interval '59 seconds'").await;
    for replica in [fast, slow] {
        let page = code_page(replica, &login).await;
        assert!(page.says("in 1\u{a0}min"), "{}", page.text);
    }
    assert_eq!(login.at(fast).poll_form().await, pending);
    stage.database.run("UPDATE device_requests SET polled_at = polled_at - interval '1.5 seconds'").await;
    assert_eq!(login.at(slow).poll_form().await, Poll::error("slow_down"), "so much for the pace");

    let browser = Browser::new();
    let consent = browser.confirm(&login).await;
    browser.approve(&consent).await;
    let token = Poll::Token(stage.postiz.live_token().unwrap());
    for replica in [fast, slow, fast, slow] {
        assert_eq!(login.at(replica).poll().await, token, "for a minute it can be had again");
    }

    let late = stage.cli().open().await;
    stage.database.run("UPDATE device_requests SET expires_at = now()").await;
    for replica in [fast, slow] {
        assert_eq!(late.at(replica).poll_form().await, Poll::error("expired_token"));
        assert!(code_page(replica, &late).await.says("This code has expired"));
        assert_eq!(login.at(replica).poll().await, token, "what was approved has a time of its own");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs faketime"]
async fn a_fast_clock_deletes_nothing_too_soon() {
    let mut stage = Stage::new().await;
    stage.cli().open().await;
    stage.database.run("UPDATE device_requests SET expires_at = now() - interval '61 seconds'").await;
    let login = stage.cli().open().await;
    let soon = "UPDATE device_requests SET expires_at = now() + interval '60 seconds' WHERE expires_at > now()";
    stage.database.run(soon).await;
    stage.variables().extend(fake("+300s"));
    // It begins with a cleanup.
    stage.start_replica().await;
    eventually("the cleanup", async || stage.database.count("device_requests").await == 1).await;
    assert_eq!(login.poll_form().await, Poll::error("authorization_pending"));
}
