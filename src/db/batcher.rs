//! Joins questions of concurrent callers into one statement.
//!
//! Questions that arrive while a statement is under way are asked together in the next one. There is no timer: an idle
//! server asks at once, a busy server asks in larger groups.

use std::mem;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::db::DatabaseError;

/// Questions in one statement.
pub const MAX_BATCH: usize = 512;
/// Statements of one kind under way at a time, if they are slow. If they are fast, one is enough: with more, the
/// groups would be smaller, and a statement costs much more than one more question in it.
pub(super) const MAX_CONCURRENT: usize = 2;
/// The next statement starts after this time even if the one before has not been answered.
const SLOW: Duration = Duration::from_millis(10);
/// Questions that wait for the next statement. Past that, the caller waits for a place.
const QUEUE: usize = 4096;

/// Groups questions of one kind.
pub struct Batcher<Q, A> {
    questions: mpsc::Sender<(Q, Caller<A>)>,
}

type Waiting<Q, A> = mpsc::Receiver<(Q, Caller<A>)>;

/// Where an answer goes.
type Caller<A> = oneshot::Sender<Result<A, DatabaseError>>;

impl<Q, A> Clone for Batcher<Q, A> {
    fn clone(&self) -> Self {
        Self { questions: self.questions.clone() }
    }
}

impl<Q: Send + 'static, A: Send + 'static> Batcher<Q, A> {
    /// Starts on `runtime`; ends when the last handle is dropped.
    ///
    /// `run` answers each question of a group, in their order.
    pub fn start<F, R>(runtime: &Handle, run: F) -> Self
    where
        F: Fn(Vec<Q>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<A>, DatabaseError>> + Send + 'static,
    {
        let (questions, waiting) = mpsc::channel(QUEUE);
        let (waiting, run) = (Arc::new(Mutex::new(waiting)), Arc::new(run));
        for _ in 0..MAX_CONCURRENT {
            runtime.spawn(group(Arc::clone(&waiting), Arc::clone(&run)));
        }
        Self { questions }
    }

    #[cfg(test)]
    pub fn is_same(&self, other: &Self) -> bool {
        self.questions.same_channel(&other.questions)
    }

    /// Asks together with other callers, and waits for at most `limit`.
    pub async fn ask(&self, question: Q, limit: Duration) -> Result<A, DatabaseError> {
        let (caller, answered) = oneshot::channel();
        let asked = async {
            self.questions.send((question, caller)).await.map_err(|_| DatabaseError::Unavailable)?;
            answered.await.map_err(|_| DatabaseError::Unavailable)?
        };
        timeout(limit, asked).await.unwrap_or(Err(DatabaseError::Unavailable))
    }
}

/// Several of these share the queue. Whose turn it is takes the questions, and keeps the turn unless its statement is slow.
async fn group<Q, A, F, R>(waiting: Arc<Mutex<Waiting<Q, A>>>, run: Arc<F>)
where
    A: Send + 'static,
    F: Fn(Vec<Q>) -> R,
    R: Future<Output = Result<Vec<A>, DatabaseError>>,
{
    let mut turn = waiting.lock().await;
    let mut asked = Vec::new();
    while turn.recv_many(&mut asked, MAX_BATCH).await > 0 {
        // A panic leaves the callers of this statement without an answer, and no others.
        let mut answered = pin!(AssertUnwindSafe(answer(&*run, mem::take(&mut asked))).catch_unwind());
        if timeout(SLOW, &mut answered).await.is_err() {
            drop(turn);
            let _ = answered.await;
            turn = waiting.lock().await;
        }
        // The runtime first goes round once: what has arrived meanwhile joins the next statement.
        yield_now().await;
    }
}

async fn answer<Q, A, F, R>(run: &F, mut asked: Vec<(Q, Caller<A>)>)
where
    A: Send + 'static,
    F: Fn(Vec<Q>) -> R,
    R: Future<Output = Result<Vec<A>, DatabaseError>>,
{
    // Callers that have stopped waiting need no answer.
    asked.retain(|(_, caller)| !caller.is_closed());
    let (questions, callers): (Vec<Q>, Vec<Caller<A>>) = asked.into_iter().unzip();
    if questions.is_empty() {
        return;
    }
    match run(questions).await {
        Ok(answers) => callers.into_iter().zip(answers).for_each(|(caller, answer)| drop(caller.send(Ok(answer)))),
        Err(error) => callers.into_iter().for_each(|caller| drop(caller.send(Err(error)))),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::ready;

    use super::*;

    /// Where an answer arrives; `None` if its caller has stopped waiting.
    type Receiver = Option<oneshot::Receiver<Result<u8, DatabaseError>>>;

    fn asked(count: u8) -> (Vec<(u8, Caller<u8>)>, Vec<Receiver>) {
        let ask = |question| {
            let (caller, answered) = oneshot::channel();
            ((question, caller), Some(answered))
        };
        (0..count).map(ask).unzip()
    }

    /// A client decides when the server reads on, so also whether a caller goes on.
    #[tokio::test]
    async fn a_caller_that_does_not_go_on_keeps_no_other_from_its_answer() {
        for first in 0..3 {
            let (asked, mut receivers) = asked(3);
            answer(&|questions| ready(Ok(questions)), asked).await;
            assert_eq!(receivers[first].take().unwrap().await.unwrap().unwrap(), u8::try_from(first).unwrap());
        }
    }

    #[tokio::test]
    async fn a_caller_that_stops_waiting_leaves_no_other_without_an_answer() {
        let cases = [true, false].into_iter().flat_map(|before| (0..3).map(move |caller| (before, caller)));
        for (stops_before_its_answer, stopping) in cases {
            let (asked, receivers) = asked(3);
            let receivers = RefCell::new(receivers);
            let run = |questions| {
                if stops_before_its_answer {
                    receivers.borrow_mut()[stopping] = None;
                }
                ready(Ok(questions))
            };
            answer(&run, asked).await;
            let mut receivers = receivers.into_inner();
            receivers[stopping] = None;
            let mut answers = 0;
            for receiver in receivers.into_iter().flatten() {
                receiver.await.unwrap().unwrap();
                answers += 1;
            }
            assert_eq!(answers, 2);
        }
    }

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn questions_that_arrive_during_a_statement_are_asked_together() {
        let (groups, mut asked) = mpsc::unbounded_channel();
        let batcher = Batcher::start(&Handle::current(), move |questions: Vec<usize>| {
            groups.send(questions.len()).unwrap();
            async move {
                yield_now().await;
                Ok(questions)
            }
        });
        let ask = |question| batcher.ask(question, LIMIT);
        let (first, others) = tokio::join!(ask(0), async {
            assert_eq!(asked.recv().await, Some(1));
            tokio::join!(ask(1), ask(2), ask(3))
        });
        let answers = [first, others.0, others.1, others.2].map(Result::unwrap);
        assert_eq!(answers, [0, 1, 2, 3]);
        assert_eq!(asked.try_recv(), Ok(3));
        assert!(asked.try_recv().is_err());
    }

    #[tokio::test]
    async fn a_slow_statement_keeps_few_others_waiting() {
        let batcher = Batcher::start(&Handle::current(), |questions: Vec<usize>| async move {
            if questions == [0] { std::future::pending().await } else { Ok(questions) }
        });
        let quick = async {
            yield_now().await;
            batcher.ask(1, LIMIT).await
        };
        tokio::select! {
            biased;
            _ = batcher.ask(0, LIMIT) => panic!("it has no answer"),
            answer = quick => assert_eq!(answer.unwrap(), 1),
        }
    }

    #[tokio::test]
    async fn a_panic_costs_the_callers_of_its_statement_their_answer_and_no_others() {
        let batcher = Batcher::start(&Handle::current(), |questions: Vec<usize>| {
            assert_ne!(questions, [0]);
            ready(Ok(questions))
        });
        for _ in 0..=MAX_CONCURRENT {
            assert!(batcher.ask(0, LIMIT).await.is_err());
        }
        assert_eq!(batcher.ask(1, LIMIT).await.unwrap(), 1);
    }
}
