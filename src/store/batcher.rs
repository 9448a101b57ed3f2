//! Many callers, few statements.
//!
//! Questions that arrive while others are at the database are asked together in the next statement.
//! No timer is involved: an idle server asks at once, a busy one asks in larger groups.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::store::StoreError;

/// Questions in one statement, at most.
const LARGEST: usize = 512;
/// Statements of one kind under way at a time, where they are slow. Else one does: with more, the
/// groups would be smaller, and a statement costs much more than one more question in it.
const CONCURRENT: usize = 4;
/// A statement that takes longer than this no longer holds up the next one.
const SLOW: Duration = Duration::from_millis(10);
/// Questions that may wait; past that the asker waits for room.
const QUEUE: usize = 4096;

type Answer<A> = oneshot::Sender<Result<A, StoreError>>;

/// Groups questions of one kind.
pub(super) struct Batcher<Q, A> {
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
    pub(super) fn start<F, R>(runtime: &Handle, run: F) -> Self
    where
        F: Fn(Vec<Q>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Vec<A>, StoreError>> + Send + 'static,
    {
        let (questions, waiting) = mpsc::channel(QUEUE);
        runtime.spawn(group(waiting, Arc::new(run)));
        Self { questions }
    }

    /// Asks, in the company of whoever asks now too, and waits for at most `patience` in all.
    pub(super) async fn ask(&self, question: Q, patience: Duration) -> Result<A, StoreError> {
        let (answer, answered) = oneshot::channel();
        let asked = async {
            self.questions.send((question, answer)).await.map_err(|_| StoreError::Unreachable)?;
            answered.await.map_err(|_| StoreError::Unreachable)?
        };
        timeout(patience, asked).await.unwrap_or(Err(StoreError::Unreachable))
    }
}

async fn group<Q, A, F, R>(mut waiting: mpsc::Receiver<(Q, Answer<A>)>, run: Arc<F>)
where
    Q: Send + 'static,
    A: Send + 'static,
    F: Fn(Vec<Q>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Vec<A>, StoreError>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONCURRENT));
    // The place comes first: while none is free, the group grows.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        let mut asked = Vec::new();
        if waiting.recv_many(&mut asked, LARGEST).await == 0 {
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
    R: Future<Output = Result<Vec<A>, StoreError>>,
{
    // Who has gone away meanwhile is not asked for.
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
