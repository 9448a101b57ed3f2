use std::error::Error as _;

use tokio::sync::Notify;
use tokio::time::sleep;

use super::*;

#[derive(Debug, PartialEq)]
enum Seen {
    Answer(u16),
    HalfAnAnswer,
    ConnectionReset,
    ConnectionClosed,
    Nothing,
}

async fn see(postiz: &StandIn, code: &str, timeout: Duration) -> Seen {
    let number = postiz.exchanges().len() + 1;
    let times_out = async {
        // Not before the fault is taken by this exchange: otherwise the next one would take it.
        postiz.exchange_begun(number).await;
        sleep(timeout).await;
    };
    let answer = tokio::select! {
        answer = try_exchange(postiz, code) => answer,
        () = times_out => return Seen::Nothing,
    };
    match answer {
        Err(error) => {
            let causes = std::iter::successors(error.source(), |&error| error.source());
            let kinds: Vec<_> =
                causes.filter_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind).collect();
            if kinds.contains(&io::ErrorKind::ConnectionReset) { Seen::ConnectionReset } else { Seen::ConnectionClosed }
        }
        Ok(answer) => {
            let status = answer.status().as_u16();
            if answer.bytes().await.is_err() { Seen::HalfAnAnswer } else { Seen::Answer(status) }
        }
    }
}

#[tokio::test]
async fn each_fault_answers_and_spends_the_code_as_documented() {
    let postiz = stand_in();
    let (survives, spent) = (201, 400);
    for (fault, seen, then) in [
        (Fault::ClientRefused, Seen::Answer(401), survives),
        (Fault::CodeRefused, Seen::Answer(400), survives),
        (Fault::Stall, Seen::Nothing, survives),
        (Fault::StallAfterSpending, Seen::Nothing, spent),
        (Fault::FrameworkError, Seen::Answer(400), survives),
        (Fault::BadGateway, Seen::Answer(502), survives),
        (Fault::Page, Seen::Answer(200), survives),
        (Fault::ServerError, Seen::Answer(500), survives),
        (Fault::ServerErrorAfterSpending, Seen::Answer(500), spent),
        (Fault::HalfAnswer, Seen::HalfAnAnswer, spent),
        (Fault::BreakOff, Seen::ConnectionClosed, survives),
        (Fault::BreakOffAfterSpending, Seen::ConnectionClosed, spent),
        (Fault::Reset, Seen::ConnectionReset, survives),
        (Fault::ResetAfterSpending, Seen::ConnectionReset, spent),
        (Fault::Garbage, Seen::Answer(201), spent),
        (Fault::NoToken, Seen::Answer(201), spent),
        (Fault::Redirect("http://127.0.0.1:9/".into()), Seen::Answer(307), survives),
        (Fault::Huge(100_000), Seen::Answer(201), spent),
        (Fault::OddlyTyped, Seen::Answer(201), spent),
    ] {
        let name = format!("{fault:?}");
        let code = approve(&postiz, &browser()).await;
        postiz.next_exchanges([fault]);
        let timeout = if seen == Seen::Nothing { BRIEF } else { TIMEOUT };
        assert_eq!(see(&postiz, &code, timeout).await, seen, "{name}");
        assert_eq!(postiz.exchanges().pop().unwrap().granted, then == spent, "{name}");
        assert_eq!(exchange(&postiz, &code).await.0, then, "{name}: the code afterwards");
    }
}

#[tokio::test]
async fn faulty_bodies_have_the_documented_fault() {
    let postiz = stand_in();
    let browser = browser();
    let (bad, odd, huge, no_token) = (Fault::Garbage, Fault::OddlyTyped, Fault::Huge(100_000), Fault::NoToken);
    postiz.next_exchanges([bad, odd, huge, no_token]);
    let mut bodies = Vec::new();
    for _ in 0..4 {
        let code = approve(&postiz, &browser).await;
        bodies.push(try_exchange(&postiz, &code).await.unwrap().text().await.unwrap());
    }
    let json: Vec<Option<Value>> = bodies.iter().map(|body| serde_json::from_str(body).ok()).collect();
    assert!(json[0].is_none());
    let odd = json[1].as_ref().unwrap();
    assert!(odd["id"].is_number() && odd["scope"].is_null() && odd.get("token_type").is_none());
    assert!(bodies[2].len() > 100_000 && bodies[2].find("pos_").unwrap() > 100_000);
    assert!(json[3].as_ref().unwrap().get("access_token").is_none());
}

#[tokio::test]
async fn a_fault_issues_no_token_for_an_invalid_code() {
    let postiz = stand_in();
    for fault in [Fault::OddlyTyped, Fault::NoToken, Fault::StallAfterSpending] {
        postiz.next_exchanges([fault]);
        assert_eq!(exchange(&postiz, "made-up").await.0, 400);
    }
    assert!(postiz.tokens_issued().is_empty());
}

#[tokio::test]
async fn a_held_exchange_answers_when_it_is_released() {
    let (sender, mut events) = mpsc::unbounded_channel();
    let postiz = start("pca_demo", Some(sender));
    let release = Arc::new(Notify::new());
    for (fault, spent) in
        [(Fault::Hold(Arc::clone(&release)), false), (Fault::HoldAfterSpending(Arc::clone(&release)), true)]
    {
        let code = approve(&postiz, &browser()).await;
        let before = postiz.exchanges().len();
        postiz.next_exchanges([fault]);
        let meanwhile = async {
            postiz.exchange_begun(before + 1).await;
            while spent && events.recv().await != Some(Event::Exchanged) {}
            assert_eq!(postiz.exchanges()[before].granted, spent);
            release.notify_one();
        };
        let ((status, _), ()) = tokio::join!(exchange(&postiz, &code), meanwhile);
        assert_eq!(status, 201);
        while let Ok(_old) = events.try_recv() {}
    }
}

#[tokio::test]
async fn two_simultaneous_exchanges_both_get_a_token_and_one_works() {
    let postiz = stand_in();
    let code = approve(&postiz, &browser()).await;
    let (one, two) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    postiz.next_exchanges([Fault::Hold(Arc::clone(&one)), Fault::Hold(Arc::clone(&two))]);
    let meanwhile = async {
        postiz.exchange_begun(2).await;
        one.notify_one();
        two.notify_one();
    };
    let (one, two, ()) = tokio::join!(exchange(&postiz, &code), exchange(&postiz, &code), meanwhile);
    assert_eq!((one.0, two.0), (201, 201));
    let live = postiz.tokens_issued().iter().filter(|token| postiz.is_live(token)).count();
    assert_eq!(live, 1);
}
