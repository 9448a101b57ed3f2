//! Joins questions of concurrent callers into one statement.
//!
//! Questions that arrive while a statement is under way are asked together in the next one. There is no timer: an idle
//! server asks at once, a busy server asks in larger groups.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
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

type Answer<A> = oneshot::Sender<Result<A, DatabaseError>>;

/// Groups questions of one kind.
pub struct Batcher<Q, A> {
    questions: mpsc::Sender<(Q, Answer<A>)>,
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
        let asked = async {
            self.questions.send((question, answer)).await.map_err(|_| DatabaseError::Unavailable)?;
            answered.await.map_err(|_| DatabaseError::Unavailable)?
        };
        timeout(limit, asked).await.unwrap_or(Err(DatabaseError::Unavailable))
    }
}

async fn group<Q, A, F, R>(mut waiting: mpsc::Receiver<(Q, Answer<A>)>, run: Arc<F>)
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

async fn answer<Q, A, F, R>(run: &F, mut asked: Vec<(Q, Answer<A>)>)
where
    F: Fn(Vec<Q>) -> R,
    R: Future<Output = Result<Vec<A>, DatabaseError>>,
{
    // Callers that have stopped waiting need no answer.
    asked.retain(|(_, answer)| !answer.is_closed());
    let (questions, answers): (Vec<Q>, Vec<Answer<A>>) = asked.into_iter().unzip();
    if questions.is_empty() {
        return;
    }
    match run(questions).await {
        Ok(found) => answers.into_iter().zip(found).for_each(|(answer, found)| {
            let _ = answer.send(Ok(found));
        }),
        Err(error) => answers.into_iter().for_each(|answer| {
            let _ = answer.send(Err(error));
        }),
    }
}
