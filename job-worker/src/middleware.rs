//! Code around every run: a small onion, for auditing, tenant contexts, or limits of one's own.

use std::sync::Arc;

use job_core::JobError;
use job_core::broker::BoxFuture;
use job_core::context::Parts;

/// What a run answers.
pub type RunResult = Result<(), JobError>;

/// Wraps every run of a worker. The first one added is the outermost. Timeouts and panics of the middleware count as
/// those of the job.
///
/// ```
/// use job_core::broker::BoxFuture;
/// use job_core::context::Parts;
/// use job_worker::middleware::{Middleware, NextRun, RunResult};
///
/// struct RefuseTenant(String);
///
/// impl Middleware for RefuseTenant {
///     fn call<'a>(&'a self, run: &'a Parts, next: NextRun<'a>) -> BoxFuture<'a, RunResult> {
///         Box::pin(async move {
///             if run.envelope.details.headers.get("tenant") == Some(&self.0) {
///                 return Err(job_core::JobError::discard("this tenant has left"));
///             }
///             next.run().await
///         })
///     }
/// }
/// ```
pub trait Middleware: Send + Sync + 'static {
    /// Runs the job by [`NextRun::run`], or answers in its place.
    fn call<'a>(&'a self, run: &'a Parts, next: NextRun<'a>) -> BoxFuture<'a, RunResult>;
}

/// What is inside a middleware: further ones, and at last the handler.
pub struct NextRun<'a> {
    rest: &'a [Arc<dyn Middleware>],
    run: &'a Parts,
    handler: BoxFuture<'static, RunResult>,
}

impl<'a> NextRun<'a> {
    /// Runs what is inside. Dropping it instead never starts the handler.
    pub fn run(self) -> BoxFuture<'a, RunResult> {
        match self.rest.split_first() {
            None => self.handler,
            Some((first, rest)) => first.call(self.run, Self { rest, ..self }),
        }
    }
}

/// Wraps a handler's run in all middleware.
pub(crate) fn wrap(
    stack: &Arc<[Arc<dyn Middleware>]>,
    run: &Parts,
    handler: BoxFuture<'static, RunResult>,
) -> BoxFuture<'static, RunResult> {
    if stack.is_empty() {
        return handler;
    }
    let (stack, run) = (Arc::clone(stack), run.clone());
    Box::pin(async move { NextRun { rest: &stack, run: &run, handler }.run().await })
}
