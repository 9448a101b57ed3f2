//! A task for each request of a person, so that its client can't stop it.

use std::panic::resume_unwind;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use tokio::task::spawn_local;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

/// Runs the request in a task, which ends when the client has disconnected.
///
/// actix does not go on with a request whose client has closed its half of the connection and reads no more of earlier
/// answers. Such a request would keep a database connection for as long as the client likes.
pub(super) async fn in_own_task(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let task = AbortOnDropHandle::new(spawn_local(next.call(request).in_current_span()));
    task.await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use actix_web::dev::Service as _;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service};
    use actix_web::{App, HttpResponse, web};
    use futures_util::poll;
    use tokio::sync::{Notify, Semaphore};
    use tokio::task::LocalSet;

    use super::*;

    /// A handler that has the only permit, as of a database connection, until it may go on.
    async fn handler(permits: Arc<Semaphore>, go_on: Arc<Notify>) -> HttpResponse {
        let _permit = permits.acquire().await.unwrap();
        go_on.notified().await;
        HttpResponse::Ok().finish()
    }

    #[tokio::test]
    async fn a_request_that_is_not_polled_gives_back_what_it_holds() {
        LocalSet::new().run_until(not_polled()).await;
    }

    async fn not_polled() {
        for is_dropped in [false, true] {
            let (permits, go_on) = (Arc::new(Semaphore::new(1)), Arc::new(Notify::new()));
            let (at, until) = (Arc::clone(&permits), Arc::clone(&go_on));
            let route = web::to(move || handler(Arc::clone(&at), Arc::clone(&until)));
            let app = init_service(App::new().wrap(from_fn(in_own_task)).route("/", route)).await;
            let mut answer = Some(Box::pin(app.call(TestRequest::get().to_request())));
            assert!(poll!(answer.as_mut().unwrap()).is_pending());
            while permits.available_permits() > 0 {
                tokio::task::yield_now().await;
            }
            if is_dropped {
                answer = None;
            } else {
                go_on.notify_one();
            }
            drop(permits.acquire().await.unwrap());
            drop(answer);
        }
    }
}
