//! What can happen next.

use proptest::prelude::*;

/// Numbers choose among what there is, 0 the newest; where there is nothing, nothing happens.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// A terminal opens a login.
    Open { at: usize },
    /// A browser confirms a login's code.
    Begin { login: usize, browser: usize, at: usize },
    /// A person says no on our page.
    Deny { login: usize, at: usize },
    /// A person says no at Postiz.
    DenyAtPostiz { consent: usize, at: usize },
    /// A person presses Authorize on one of the consent pages: Postiz issues a code.
    Authorize { consent: usize },
    /// A browser brings a code, some times at once, over both replicas.
    Callback { code: usize, times: usize },
    /// Somebody else's browser brings it, which ends the login.
    CallbackElsewhere { code: usize, browser: usize, at: usize },
    /// The answer to a claim was lost on its way, so it is made again.
    ClaimAgain { flight: usize, at: usize },
    /// The code goes to Postiz.
    Exchange { flight: usize, answer: Answer },
    /// What came of it is written down; may be repeated.
    FinishExchange { flight: usize, at: usize },
    /// The same, and the person says no in the same moment.
    SettleAndDeny { flight: usize },
    /// The replica dies that has this exchange in hand.
    Crash { flight: usize },
    /// The terminal asks, some times at once, over both replicas.
    Poll { login: usize, times: usize },
    /// Fifteen seconds pass for a lease.
    RunOut { login: usize },
    /// Fifteen minutes pass for a login.
    Expire { login: usize },
    /// And its last minute.
    Due { login: usize },
    /// A replica deletes finished grants.
    CleanUp { at: usize },
}

/// What becomes of Postiz's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It arrives.
    Heard,
    /// It is lost; the code is spent.
    Lost,
    /// Postiz has never seen the request.
    NeverAsked,
}

/// Steps that lead on are more frequent than those that disturb.
pub fn step() -> impl Strategy<Value = Step> {
    // Mostly the same few, or the steps would seldom belong to one login.
    let any = || prop_oneof![6 => Just(0_usize), 2 => Just(1_usize), 1 => 0..8_usize];
    let times = || prop_oneof![4 => Just(1_usize), 1 => 2..4_usize];
    let answer = prop_oneof![6 => Just(Answer::Heard), 2 => Just(Answer::Lost), 2 => Just(Answer::NeverAsked)];
    prop_oneof![
        4 => any().prop_map(|at| Step::Open { at }),
        8 => (any(), any(), any()).prop_map(|(login, browser, at)| Step::Begin { login, browser, at }),
        1 => (any(), any()).prop_map(|(login, at)| Step::Deny { login, at }),
        1 => (any(), any()).prop_map(|(consent, at)| Step::DenyAtPostiz { consent, at }),
        8 => any().prop_map(|consent| Step::Authorize { consent }),
        12 => (any(), times()).prop_map(|(code, times)| Step::Callback { code, times }),
        1 => (any(), any(), any()).prop_map(|(code, browser, at)| Step::CallbackElsewhere { code, browser, at }),
        2 => (any(), any()).prop_map(|(flight, at)| Step::ClaimAgain { flight, at }),
        12 => (any(), answer).prop_map(|(flight, answer)| Step::Exchange { flight, answer }),
        12 => (any(), any()).prop_map(|(flight, at)| Step::FinishExchange { flight, at }),
        1 => any().prop_map(|flight| Step::SettleAndDeny { flight }),
        2 => any().prop_map(|flight| Step::Crash { flight }),
        3 => (any(), times()).prop_map(|(login, times)| Step::Poll { login, times }),
        4 => any().prop_map(|login| Step::RunOut { login }),
        1 => any().prop_map(|login| Step::Expire { login }),
        1 => any().prop_map(|login| Step::Due { login }),
        2 => any().prop_map(|at| Step::CleanUp { at }),
    ]
}
