//! Maps a request to its response. Pure but for what health and metrics say.

use std::sync::Arc;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use hyper::{Method, Request, Response, StatusCode};

use crate::metrics::{self, Metrics};

const PLAIN: &str = "text/plain; charset=utf-8";

const INDEX: &str = "\
/metrics  what this process counts, in Prometheus' text format
/livez    200 while the process should be left alone, 503 when it should be restarted
/readyz   200 while the worker takes jobs, 503 when it does not
";

/// Says how the worker is. Called for each probe, on the server's thread: it answers from memory, at once.
///
/// An `Err` is shown to whoever reaches the port: one line, and no secrets.
pub trait Health: Send + Sync {
    /// Says that the process works, or why it should be restarted.
    ///
    /// # Errors
    /// Only what a restart can heal: an unreachable broker is none of it.
    fn live(&self) -> Result<(), String>;

    /// Says that the worker takes jobs, or why it does not at the moment.
    ///
    /// # Errors
    /// While starting, quiet, draining, or without its broker.
    fn ready(&self) -> Result<(), String>;
}

/// What there is to ask, and who knows.
pub(super) struct Routes {
    metrics: Arc<Metrics>,
    health: Arc<dyn Health>,
}

impl Routes {
    pub(super) fn new(metrics: Arc<Metrics>, health: Arc<dyn Health>) -> Self {
        Self { metrics, health }
    }

    /// Answers a request by its method and path; hyper leaves the body of an answer to HEAD away.
    pub(super) fn respond<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let answer: fn(&Self) -> Response<Full<Bytes>> = match request.uri().path() {
            "/" => |_| text(StatusCode::OK, INDEX),
            "/livez" => |routes| probe(routes.health.live()),
            "/readyz" => |routes| probe(routes.health.ready()),
            "/metrics" => |routes| response(StatusCode::OK, metrics::CONTENT_TYPE, routes.metrics.render()),
            _ => return text(StatusCode::NOT_FOUND, "not found; / lists what there is\n"),
        };
        match *request.method() {
            Method::GET | Method::HEAD => answer(self),
            _ => method_not_allowed(),
        }
    }
}

fn probe(health: Result<(), String>) -> Response<Full<Bytes>> {
    match health {
        Ok(()) => text(StatusCode::OK, "ok\n"),
        Err(reason) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

fn method_not_allowed() -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "method not allowed; use GET or HEAD\n");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    response(status, PLAIN, body)
}

fn response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A reason or a label is never to be read as HTML, whatever it holds.
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
