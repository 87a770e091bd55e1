//! Accepts connections and serves one request on each, within bounds of number, size and time.
//!
//! The loop is ours because the usual ones set no timer on request heads: a client that sends one byte a minute then
//! keeps its connection for ever, and enough of them lock everybody out.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use job_core::clock::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::admin::route::Routes;

/// What a client may cost.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Most connections at once; further ones wait in the kernel's queue.
    pub(super) connections: usize,
    /// Longest wait for the whole head of a request.
    pub(super) head_time: Duration,
    /// Longest head of a request, in bytes; browsers and scrapers send about 1 KiB. hyper's minimum is 8 KiB.
    pub(super) head_bytes: usize,
    /// Longest life of a connection, for a client that does not read its answer.
    pub(super) connection_time: Duration,
    /// Wait after a failed accept. Without it a process that is out of file descriptors burns a core on retries.
    pub(super) accept_pause: Duration,
    /// How long open connections may take to end at a stop.
    pub(super) stop_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            head_time: Duration::from_secs(5),
            head_bytes: 16 * 1024,
            connection_time: Duration::from_secs(15),
            accept_pause: Duration::from_secs(1),
            stop_time: Duration::from_secs(1),
        }
    }
}

/// Where connections come from.
pub(super) trait Accept {
    /// Waits for the next connection; cancel safe.
    fn next(&self) -> impl Future<Output = io::Result<TcpStream>> + Send;
}

impl Accept for TcpListener {
    async fn next(&self) -> io::Result<TcpStream> {
        Ok(self.accept().await?.0)
    }
}

/// Serves connections until `stop` is ready.
pub(super) async fn serve(
    accept: impl Accept,
    routes: Arc<Routes>,
    limits: Limits,
    clock: Clock,
    stop: impl Future<Output = ()>,
) {
    let mut stop = pin!(stop);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = &mut stop => break,
            Some(_) = connections.join_next() => {}
            stream = next(&accept, limits, &clock), if connections.len() < limits.connections => {
                connections.spawn(connection(stream, routes.clone(), limits, clock.clone()));
            }
        }
    }
    drop(accept);
    // What is still open after that is closed by dropping the set.
    clock.timeout(limits.stop_time, async { while connections.join_next().await.is_some() {} }).await;
}

async fn next(accept: &impl Accept, limits: Limits, clock: &Clock) -> TcpStream {
    loop {
        match accept.next().await {
            Ok(stream) => return stream,
            Err(error) => {
                tracing::warn!(%error, "admin connection not accepted");
                clock.sleep(limits.accept_pause).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, routes: Arc<Routes>, limits: Limits, clock: Clock) {
    let service = service_fn(move |request| ready(Ok::<_, Infallible>(routes.respond(&request))));
    let connection = http1::Builder::new()
        // One request a connection: nothing can idle, and scrapers come too seldom to gain from more.
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_header_size(limits.head_bytes)
        .max_buf_size(limits.head_bytes)
        .serve_connection(TokioIo::new(stream), service);
    // A client that breaks off or is too slow is its own affair; hyper answers bad requests by itself.
    let _ = clock.timeout(limits.connection_time, connection).await;
}
