//! Serves what operators and their machines ask a worker: metrics, liveness, readiness.
//!
//! It answers a few fixed questions, reads no request bodies and changes nothing, so it has no log-in: whoever reaches
//! the port sees the metrics. What a client does costs it at most one connection for a bounded time.

mod listen;
mod route;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use job_core::Error;
use job_core::clock::Clock;
use tokio::net::TcpListener;

use crate::admin::listen::Limits;
use crate::admin::route::Routes;
use crate::metrics::Metrics;

pub use crate::admin::route::Health;

/// A bound listener for `/metrics`, `/livez` and `/readyz`, which [`run`](Self::run) serves.
pub struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
    routes: Arc<Routes>,
    limits: Limits,
}

impl AdminServer {
    /// Listens on `address`; clients wait in the kernel's queue until [`run`](Self::run). Port 0 takes any free port.
    ///
    /// # Errors
    /// Names the address and what to change.
    pub async fn bind(address: SocketAddr, metrics: Arc<Metrics>, health: Arc<dyn Health>) -> Result<Self, Error> {
        let listener = TcpListener::bind(address).await.map_err(|error| refused(address, error))?;
        let address = listener.local_addr().map_err(|error| refused(address, error))?;
        Ok(Self { listener, address, routes: Arc::new(Routes::new(metrics, health)), limits: Limits::default() })
    }

    /// Returns the address it listens on, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready, then gives the open connections a second to end. It never fails by itself.
    ///
    /// Keep it running through a drain: `/readyz` is how a load balancer learns of it.
    ///
    /// # Cancel safety
    /// Dropping the future closes the listener and every connection.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        listen::serve(self.listener, self.routes, self.limits, Clock::system(), stop).await;
    }
}

fn refused(address: SocketAddr, error: io::Error) -> Error {
    let port = address.port();
    let message = |what: String| format!("cannot listen on {address} for admin requests: {what}");
    match error.kind() {
        io::ErrorKind::AddrInUse => Error::unavailable(message(format!(
            "another process uses port {port}; stop it or choose another port (0 takes any free one)"
        ))),
        io::ErrorKind::AddrNotAvailable => Error::invalid(message(format!(
            "this machine has no address {}; use 127.0.0.1, or 0.0.0.0 for all addresses",
            address.ip()
        ))),
        io::ErrorKind::PermissionDenied => {
            Error::denied(message(format!("port {port} needs more rights; choose a port of 1024 or above")))
        }
        _ => Error::unavailable(message("the system refuses; the cause says why".into())),
    }
    .caused_by(error)
}

#[cfg(test)]
mod tests;
