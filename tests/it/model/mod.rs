//! The grant as a machine: many terminals, browsers and replicas take their steps in any order, some
//! die in between, on a real Postgres. After each step it is held against a model, and against what must
//! always hold.
//!
//! `PROPTEST_CASES` sets how many such stories are played. One that fails is made as short as it can be
//! and kind with the seed that repeats it; what was lost in a race of two statements may need some tries.

mod expected;
mod world;

use postiz_auth_server::grant::{self, Status};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use strum::VariantArray as _;
use tokio::runtime::Runtime;

use world::{Ground, World};

/// Where the environment asks for no other number.
const CASES: u32 = 80;
/// The same stories in each run, where the environment asks for no others.
const SEED: u64 = 8628;
/// Steps in a story.
const LENGTH: std::ops::Range<usize> = 1..80;

/// What can happen next.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A terminal opens a login.
    Open,
    /// A browser confirms a login's code.
    Begin,
    /// A person says no on our page.
    Deny,
    /// The operator ends it.
    Revoke,
    /// A person presses Authorize on one of the consent pages: Postiz issues a code.
    Authorize,
    /// A browser brings a code.
    Callback,
    /// Somebody else's browser brings it, which ends the login.
    CallbackElsewhere,
    /// The answer to a claim was lost on its way, so it is made again.
    ClaimAgain,
    /// The code goes to Postiz, and the answer arrives.
    Exchange,
    /// The same, but the answer is lost; the code is spent.
    LoseAnswer,
    /// The same, but Postiz has never seen the request.
    LoseRequest,
    /// What came of the exchange is written down; may be repeated.
    Finish,
    /// The replica dies that has this exchange in hand.
    Crash,
    /// The terminal asks.
    Poll,
    /// Fifteen seconds pass for a lease.
    RunOut,
    /// Fifteen minutes pass for a login.
    Expire,
    /// And its last minute.
    FallDue,
    /// A replica deletes finished grants.
    CleanUp,
}

/// Events that lead on are more frequent than those that disturb.
const EVENTS: [(u32, &[Event]); 5] = [
    (12, &[Event::Callback, Event::Finish]),
    (8, &[Event::Begin, Event::Authorize, Event::Exchange]),
    (4, &[Event::Open, Event::Poll, Event::RunOut]),
    (2, &[Event::LoseAnswer, Event::LoseRequest, Event::ClaimAgain, Event::Crash, Event::CleanUp]),
    (1, &[Event::Deny, Event::Revoke, Event::CallbackElsewhere, Event::Expire, Event::FallDue]),
];

#[derive(Debug, Clone, Copy)]
struct Step {
    event: Event,
    /// Which of the logins, consent pages, codes or exchanges that there are; 0 is the newest.
    which: usize,
    browser: usize,
    /// The replica.
    at: usize,
    /// A callback and a poll come some times at once, over both replicas.
    times: usize,
}

fn step() -> impl Strategy<Value = Step> {
    let weighted =
        |(weight, events): (u32, &[Event])| events.iter().map(|event| (weight, Just(*event))).collect::<Vec<_>>();
    let event = Union::new_weighted(EVENTS.into_iter().flat_map(weighted).collect());
    // Mostly the same few, or the steps would seldom belong to one login.
    let few = || prop_oneof![6 => Just(0_usize), 2 => Just(1_usize), 1 => 0..8_usize];
    let times = prop_oneof![4 => Just(1_usize), 1 => 2..4_usize];
    let fields = (event, few(), few(), few(), times);
    fields.prop_map(|(event, which, browser, at, times)| Step { event, which, browser: browser % 3, at: at % 2, times })
}

#[test]
fn in_every_order_of_steps_no_login_is_lost_or_given_to_another() {
    let runtime = Runtime::new().unwrap();
    let ground = runtime.block_on(Ground::new());
    let mut config = Config { failure_persistence: None, max_shrink_iters: 1000, ..Config::default() };
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    // A nightly run sets another one.
    if matches!(config.rng_seed, RngSeed::Random) {
        config.rng_seed = RngSeed::Fixed(SEED);
    }
    let enough = config.cases >= CASES;
    let played = TestRunner::new(config).run(&vec(step(), LENGTH), |steps| {
        runtime.block_on(async {
            let mut world = World::new(&ground).await;
            for step in steps {
                world.take(step).await;
                world.check().await;
            }
            world.finish().await;
        });
        Ok(())
    });
    if let Err(error) = played {
        panic!("{error}");
    }
    let seen = ground.seen.borrow();
    for happening in ["claim", "takeover", "approval taken back", "delivery", "end"] {
        assert!(!enough || seen.contains_key(happening), "no {happening} has happened: {seen:?}");
    }
}

/// The events that lead to a state, and those that are a step, with those that prepare it.
#[test]
fn the_database_takes_each_step_as_the_table_says() {
    let claimed = [Event::Begin, Event::Authorize, Event::Callback];
    let runtime = Runtime::new().unwrap();
    let ground = runtime.block_on(Ground::new());
    for status in Status::VARIANTS {
        let then: &[Event] = match status {
            Status::Pending | Status::Authorizing => &[],
            Status::Denied => &[Event::Deny],
            Status::Approved => &[Event::Exchange, Event::Finish],
            Status::Delivered => &[Event::Exchange, Event::Finish, Event::Poll],
            Status::Revoked => &[Event::Revoke],
        };
        let before = if *status == Status::Pending { Vec::new() } else { [&claimed, then].concat() };
        for step in grant::Step::VARIANTS {
            let events: &[Event] = match step {
                grant::Step::Begin => &[Event::Begin],
                grant::Step::Claim => &[Event::Crash, Event::RunOut, Event::Authorize, Event::Callback],
                grant::Step::Approve => &[Event::Exchange, Event::Finish],
                grant::Step::Deny => &[Event::Deny],
                grant::Step::Abandon => &[Event::Authorize, Event::CallbackElsewhere],
                grant::Step::Deliver => &[Event::Poll],
                grant::Step::Revoke => &[Event::Revoke],
            };
            let found = runtime.block_on(async {
                let mut world = World::new(&ground).await;
                for event in before.iter().chain(events) {
                    let browser = usize::from(matches!(event, Event::CallbackElsewhere));
                    world.take(Step { event: *event, which: 0, browser, at: 0, times: 1 }).await;
                    world.check().await;
                }
                world.status()
            });
            assert_eq!(found, status.after(*step).unwrap_or(*status), "{step:?} in {status}");
        }
    }
}
