//! `GET /device/callback`: Postiz sends the person back with a code, or with a refusal.

use std::time::Duration;

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use tokio::time::{Instant, sleep};
use tracing::{Instrument as _, error, info, warn};

use crate::grant::{BrowserKey, Decision, INACTIVE_AFTER, State, UserCode};
use crate::http::pages::{Page, Retry, Terminal};
use crate::http::visitor::Visitor;
use crate::http::{Deps, browser_cookie};
use crate::metrics::GrantEvent;
use crate::postiz::{ExchangeError, Reason};
use crate::secret::Digest;
use crate::store::{Approval, Callback, Lease, LeaseHolder, Pickup, StepOutcome, StoreError};
use crate::waiters::WokenPolls;

/// How long a second callback waits for the first one's outcome; longer than an exchange takes.
const WAIT: Duration = Duration::from_secs(11);
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// How long a token that Postiz has granted is kept here, in memory, while the database is away.
const KEEP: Duration = Duration::from_mins(10);
/// How long the person's page waits for that before it says "one moment".
const SHOW: Duration = Duration::from_secs(4);
/// The terminal mostly picks the token up within milliseconds; the page waits a little to say so.
const PICK_UP: [Duration; 4] =
    [Duration::from_millis(30), Duration::from_millis(120), Duration::from_millis(300), Duration::from_millis(550)];

/// The authorization response (RFC 6749 §4.1.2).
enum Response {
    Code(String),
    Denied,
    /// Another error of Postiz's; its text is not shown to anyone.
    Failed,
}

/// What became of an exchange.
enum Exchanged {
    /// With the polls that were woken here.
    Stored(Approval, Option<WokenPolls>),
    /// Postiz granted a token; storing it is still being tried.
    NotStored,
    Failed(ExchangeError),
}

/// Exchanges the code, exactly once, and tells the person.
pub async fn callback(request: HttpRequest, visitor: Visitor, deps: Data<Deps>) -> HttpResponse {
    let Some((state, response)) = read(request.query_string()) else {
        return visitor.show(&Page::LinkSpent);
    };
    let Some(browser) = browser_cookie::read(&request, &deps.server_url) else {
        return visitor.show(&Page::WrongBrowser);
    };
    match response {
        Response::Code(code) => approved(visitor, &deps, state, browser, code).await,
        Response::Denied => denied(visitor, &deps, &state, &browser).await,
        Response::Failed => visitor.show(&Page::LinkSpent),
    }
}

/// `None` where the state can't be one of ours: then nothing is asked of anyone.
fn read(query: &str) -> Option<(State, Response)> {
    let (mut state, mut code, mut error) = (None, None, None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "state" => state = State::from_query(&value),
            "code" => code = Some(value.into_owned()),
            "error" => error = Some(value),
            _ => {}
        }
    }
    let response = match (error.as_deref(), code) {
        (Some("access_denied"), _) => Response::Denied,
        (None, Some(code)) if !code.is_empty() => Response::Code(code),
        _ => Response::Failed,
    };
    Some((state?, response))
}

async fn approved(
    visitor: Visitor,
    deps: &Data<Deps>,
    state: State,
    browser: BrowserKey,
    code: String,
) -> HttpResponse {
    let (digest, holder) = (Digest::of(code.as_bytes()), LeaseHolder::random());
    let deadline = Instant::now() + WAIT;
    let found = loop {
        match deps.store.claim(&state, &browser, &digest, &holder).await {
            Ok(Callback::InProgress(_)) if Instant::now() + LOOK_AGAIN < deadline => sleep(LOOK_AGAIN).await,
            Ok(found) => break found,
            Err(_) => return visitor.show(&Page::OneMoment { retry: Retry::Reload }),
        }
    };
    let visitor = match found.grant() {
        Some(grant) => visitor.about(grant),
        None => visitor,
    };
    match found {
        Callback::Claimed(lease) => {
            let work = exchange(Data::clone(deps), lease.clone(), state, browser, code);
            let page = match deps.finish(work).await {
                Some(exchanged) => outcome(deps, &lease, exchanged).await,
                None => Page::Internal,
            };
            visitor.show(&page)
        }
        Callback::InProgress(_) => visitor.show(&Page::OneMoment { retry: Retry::Reload }),
        Callback::Finished { pickup, .. } => visitor.show(&Page::Done { terminal: terminal(pickup) }),
        Callback::Replaced(_) => visitor.show(&Page::Replaced),
        Callback::CodeSpent(_, user_code) => visitor.show(&approve_again(user_code, Reason::CodeRefused)),
        Callback::Denied(_) => visitor.show(&Page::Denied),
        Callback::Expired(_) | Callback::Unknown => visitor.show(&Page::LinkSpent),
        Callback::OtherBrowser => visitor.show(&Page::WrongBrowser),
    }
}

/// Runs to its end even if the person closes the tab: Postiz has revoked their older token already.
async fn exchange(deps: Data<Deps>, lease: Lease, state: State, browser: BrowserKey, code: String) -> Exchanged {
    let grant = lease.grant.reference();
    info!(grant, "grant claimed: its code is exchanged");
    let credentials = match deps.postiz.exchange(&code, &browser, &state).await {
        Ok(credentials) => credentials,
        Err(failure) => {
            if failure.reason == Reason::ClientRefused {
                error!(grant, reason = %failure, "the exchange failed");
            } else {
                warn!(grant, reason = %failure, spent = failure.spent, "the exchange failed");
            }
            // Where this fails too, the lease runs out by itself.
            let _ = deps.store.release(&lease, failure.spent).await;
            return Exchanged::Failed(failure);
        }
    };
    let Ok(token) = lease.sealing_key.seal(&lease.grant, &credentials) else {
        error!(grant, "the token can't be sealed: the grant's key is broken");
        return Exchanged::Failed(ExchangeError { reason: Reason::Unreadable, spent: true });
    };
    drop(credentials);
    let store = |patience| {
        let (deps, lease, token) = (Data::clone(&deps), lease.clone(), token.clone());
        async move {
            let approval = deps.store.approve(&lease, &token, patience).await?;
            let woken = approval.settled().map(|settled| {
                deps.logins.count(GrantEvent::Approved);
                info!(grant = lease.grant.reference(), "grant approved");
                deps.waiters.wake(lease.grant, settled)
            });
            Ok::<_, StoreError>(Exchanged::Stored(approval, woken))
        }
    };
    match store(SHOW).await {
        Ok(stored) => stored,
        Err(_) => {
            warn!(grant, "a granted token can't be stored yet; trying on");
            deps.runtime.spawn(deps.unfinished.track_future(store(KEEP)).in_current_span());
            Exchanged::NotStored
        }
    }
}

async fn outcome(deps: &Deps, lease: &Lease, exchanged: Exchanged) -> Page {
    match exchanged {
        Exchanged::Stored(Approval::Approved, mut woken) => {
            if let Some(woken) = &mut woken
                && woken.delivered().await
            {
                return Page::Done { terminal: Terminal::SignedIn };
            }
            let mut found = Terminal::Waiting;
            for pause in PICK_UP {
                sleep(pause).await;
                match deps.store.pickup(lease.grant).await {
                    Ok(Some(pickup)) => found = terminal(pickup),
                    Ok(None) | Err(_) => break,
                }
                if found == Terminal::SignedIn {
                    break;
                }
            }
            Page::Done { terminal: found }
        }
        Exchanged::Stored(Approval::Denied, _) => Page::Denied,
        Exchanged::Stored(Approval::Superseded, _) => Page::LinkSpent,
        Exchanged::NotStored => Page::OneMoment { retry: Retry::Reload },
        Exchanged::Failed(failure) if failure.spent => approve_again(lease.user_code, failure.reason),
        Exchanged::Failed(failure) => Page::TryAgain { reason: failure.reason },
    }
}

async fn denied(visitor: Visitor, deps: &Deps, state: &State, browser: &BrowserKey) -> HttpResponse {
    match deps.store.deny_at_postiz(state, browser).await {
        Ok(Some(StepOutcome::Taken(grant))) => {
            deps.waiters.wake(grant, Decision::Denied);
            deps.logins.count(GrantEvent::Denied);
            info!(grant = grant.reference(), "grant denied at Postiz");
            visitor.about(grant).show(&Page::Denied)
        }
        Ok(Some(StepOutcome::Decision(grant, Decision::Denied))) => visitor.about(grant).show(&Page::Denied),
        Ok(Some(StepOutcome::Decision(grant, Decision::Approved))) => {
            visitor.about(grant).show(&Page::Done { terminal: Terminal::Waiting })
        }
        Ok(Some(StepOutcome::Expired(_) | StepOutcome::Decision(_, Decision::Revoked) | StepOutcome::Unknown)) => {
            visitor.show(&Page::LinkSpent)
        }
        Ok(None) => visitor.show(&Page::WrongBrowser),
        Err(_) => visitor.show(&Page::OneMoment { retry: Retry::Reload }),
    }
}

fn terminal(pickup: Pickup) -> Terminal {
    if pickup.delivered {
        Terminal::SignedIn
    } else if pickup.silence > INACTIVE_AFTER {
        Terminal::Inactive
    } else {
        Terminal::Waiting
    }
}

fn approve_again(user_code: UserCode, reason: Reason) -> Page {
    Page::ApproveAgain { user_code: user_code.to_string(), reason }
}
