//! Failures below HTTP: a response whose body fails makes actix drop the connection at once.

use std::any::Any;
use std::future::{pending, ready};
use std::io;
use std::net::TcpStream;
use std::os::fd::AsFd as _;

use actix_web::body::SizedStream;
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream as ServedStream;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{Stream, StreamExt as _, stream};

use crate::postiz::fault::Break;

/// A second handle to the socket of a request.
struct Socket(TcpStream);

/// For `HttpServer::on_connect`.
pub(super) fn keep_socket(connection: &dyn Any, extensions: &mut Extensions) {
    let socket = connection.downcast_ref::<ServedStream>().and_then(|stream| stream.as_fd().try_clone_to_owned().ok());
    if let Some(socket) = socket {
        extensions.insert(Socket(socket.into()));
    }
}

/// The connection of a request.
pub(super) struct Wire(HttpRequest);

impl Wire {
    pub(super) fn of(request: &HttpRequest) -> Self {
        Self(request.clone())
    }

    /// Ends without an answer: the body fails before the head is sent.
    pub(super) async fn break_off(&self, how: Break) -> HttpResponse {
        match how {
            Break::NoAnswer => pending().await,
            Break::Close => {}
            Break::Reset => {
                // With a linger time of zero, close sends a reset.
                if let Some(Err(error)) = self.0.conn_data().map(no_linger) {
                    return HttpResponse::NotImplemented().body(error.to_string());
                }
            }
        }
        created(1, stream::iter([Err(broken())]))
    }
}

/// Sends the head and the first half of a 201 with this body, and drops the connection.
pub(super) fn half(body: &str) -> HttpResponse {
    let half = Bytes::copy_from_slice(&body.as_bytes()[..body.len() / 2]);
    let end = stream::once(async {
        tokio::task::yield_now().await; // flushes what is written so far
        Err(broken())
    });
    created(body.len(), stream::once(ready(Ok(half))).chain(end))
}

fn created(size: usize, body: impl Stream<Item = io::Result<Bytes>> + 'static) -> HttpResponse {
    HttpResponse::Created().content_type("application/json; charset=utf-8").body(SizedStream::new(size as u64, body))
}

fn no_linger(Socket(socket): &Socket) -> io::Result<()> {
    ServedStream::from_std(socket.try_clone()?)?.set_zero_linger()
}

fn broken() -> io::Error {
    io::ErrorKind::BrokenPipe.into()
}
