//! Joins questions of concurrent callers into one statement.
//!
//! Questions that arrive while a statement is under way are asked together in the next one. There is no timer: an idle
//! server asks at once, a busy server asks in larger groups.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Handle, Id};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::db::DatabaseError;

/// Questions in one statement.
pub const MAX_BATCH: usize = 512;
/// Statements of one kind under way at a time, if they are slow. If they are fast, one is enough: with more, the
/// groups would be smaller, and a statement costs much more than one more question in it.
const MAX_CONCURRENT: usize = 4;
/// The next statement starts after this time even if the one before has not been answered.
const SLOW: Duration = Duration::from_millis(10);
/// Questions that wait for the next statement. Past that, the caller waits for a place.
const QUEUE: usize = 4096;

/// Groups questions of one kind.
pub struct Batcher<Q, A> {
    questions: mpsc::Sender<(Q, Caller<A>)>,
}

struct Caller<A> {
    runtime: Handle,
    answer: oneshot::Sender<Result<A, DatabaseError>>,
}

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
        runtime.spawn(group(waiting, Arc::new(run)));
        Self { questions }
    }

    /// Asks together with other callers, and waits for at most `limit`.
    pub async fn ask(&self, question: Q, limit: Duration) -> Result<A, DatabaseError> {
        let (answer, answered) = oneshot::channel();
        let caller = Caller { runtime: Handle::current(), answer };
        let asked = async {
            self.questions.send((question, caller)).await.map_err(|_| DatabaseError::Unavailable)?;
            answered.await.map_err(|_| DatabaseError::Unavailable)?
        };
        timeout(limit, asked).await.unwrap_or(Err(DatabaseError::Unavailable))
    }
}

async fn group<Q, A, F, R>(mut waiting: mpsc::Receiver<(Q, Caller<A>)>, run: Arc<F>)
where
    Q: Send + 'static,
    A: Send + 'static,
    F: Fn(Vec<Q>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<A>, DatabaseError>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(MAX_CONCURRENT));
    // The place is taken before the questions: while none is free, the group grows.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let mut asked = Vec::new();
        if waiting.recv_many(&mut asked, MAX_BATCH).await == 0 {
            return;
        }
        let run = Arc::clone(&run);
        let answered = tokio::spawn(async move {
            answer(&*run, asked).await;
            drop(place);
        });
        let _ = timeout(SLOW, answered).await;
    }
}

async fn answer<Q, A, F, R>(run: &F, mut asked: Vec<(Q, Caller<A>)>)
where
    A: Send + 'static,
    F: Fn(Vec<Q>) -> R,
    R: Future<Output = Result<Vec<A>, DatabaseError>>,
{
    // Callers that have stopped waiting need no answer.
    asked.retain(|(_, caller)| !caller.answer.is_closed());
    let (questions, callers): (Vec<Q>, Vec<Caller<A>>) = asked.into_iter().unzip();
    if questions.is_empty() {
        return;
    }
    let answers: Vec<_> = match run(questions).await {
        Ok(found) => callers.into_iter().zip(found.into_iter().map(Ok)).collect(),
        Err(error) => callers.into_iter().map(|caller| (caller, Err(error))).collect(),
    };
    // Each worker has a runtime. Waking a task of another thread takes a system call, so a task of each runtime is started
    // from here, and wakes the callers there.
    let mut runtimes: HashMap<Id, (Handle, Vec<_>)> = HashMap::new();
    for (Caller { runtime, answer }, answered) in answers {
        runtimes.entry(runtime.id()).or_insert_with(|| (runtime, Vec::new())).1.push((answer, answered));
    }
    for (runtime, answers) in runtimes.into_values() {
        runtime.spawn(async move {
            for (answer, answered) in answers {
                let _ = answer.send(answered);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::ready;

    use super::*;

    /// Where an answer arrives; `None` if its caller has stopped waiting.
    type Receiver = Option<oneshot::Receiver<Result<u8, DatabaseError>>>;

    /// The questions of callers of this runtime.
    fn asked(count: u8) -> (Vec<(u8, Caller<u8>)>, Vec<Receiver>) {
        let ask = |question| {
            let (answer, answered) = oneshot::channel();
            ((question, Caller { runtime: Handle::current(), answer }), Some(answered))
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
}
