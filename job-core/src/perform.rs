//! How a job is run: the handler traits, and what a handler may answer besides `Ok`.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;

use crate::context::Context;
use crate::error::BoxError;
use crate::job::Job;

/// Runs a job as a future. Write it as `async fn perform(self, cx: Context<Self>) -> Result<(), JobError>`.
///
/// A run can happen twice: after a crash, and after an error once its effects were done. Make it idempotent.
#[diagnostic::on_unimplemented(
    message = "the job `{Self}` has no handler",
    label = "`Perform` is not implemented for this job",
    note = "write `impl Perform for {Self}`, or say `blocking` in its #[job(…)] and implement `PerformBlocking`, or say `handler = \"elsewhere\"` if another crate handles it"
)]
pub trait Perform: Job {
    /// Runs the job once.
    fn perform(self, cx: Context<Self>) -> impl Future<Output = Result<(), JobError>> + Send;
}

/// Runs a job that blocks its thread: computing, or calling blocking code. It runs on a pool of its own.
#[diagnostic::on_unimplemented(
    message = "the blocking job `{Self}` has no handler",
    label = "`PerformBlocking` is not implemented for this job",
    note = "write `impl PerformBlocking for {Self}`, or drop `blocking` from its #[job(…)] and implement `Perform`"
)]
pub trait PerformBlocking: Job {
    /// Runs the job once. A thread cannot be killed: when the timeout passes, [`Context::is_cancelled`] turns true, and
    /// the job is settled when this returns.
    fn perform(self, cx: Context<Self>) -> Result<(), JobError>;
}

/// Tells derived code which handlers `J` has: its own constants hide those of [`HandlerProbeFallback`] where their
/// bound holds.
#[doc(hidden)]
pub struct HandlerProbe<J>(PhantomData<J>);

#[doc(hidden)]
pub trait HandlerProbeFallback {
    const IS_ASYNC: bool = false;
    const IS_BLOCKING: bool = false;
}

impl<J> HandlerProbeFallback for HandlerProbe<J> {}

impl<J: Perform> HandlerProbe<J> {
    #[doc(hidden)]
    pub const IS_ASYNC: bool = true;
}

impl<J: PerformBlocking> HandlerProbe<J> {
    #[doc(hidden)]
    pub const IS_BLOCKING: bool = true;
}

/// Why a run did not complete, and what is to happen next.
///
/// `?` makes one from any error, `anyhow::Error` and `&str` included; the job is then retried with its backoff. This
/// type is no `std::error::Error` itself, which is what lets `?` take everything else.
pub struct JobError {
    next: Next,
    error: Option<BoxError>,
}

/// What is to happen after a run that did not complete.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Run again after the job's backoff, or after `delay`, while attempts are left.
    Retry {
        /// Replaces the backoff.
        delay: Option<Duration>,
    },
    /// Give the job up: dead at once.
    Discard,
    /// Come back after this delay without using an attempt.
    Snooze(Duration),
    /// Come back at once with this cursor without using an attempt.
    Continue(serde_json::Value),
}

impl JobError {
    /// Gives the job up: it is dead at once, whatever attempts are left.
    pub fn discard(error: impl Into<BoxError>) -> Self {
        Self { next: Next::Discard, error: Some(error.into()) }
    }

    /// Fails the run, and chooses the delay before the next one.
    pub fn retry_in(delay: Duration, error: impl Into<BoxError>) -> Self {
        Self { next: Next::Retry { delay: Some(delay) }, error: Some(error.into()) }
    }

    /// Comes back after `delay` without using an attempt: what the job waits for is not there yet. A job is snoozed at
    /// most 10 000 times, then it is dead.
    pub fn snooze(delay: Duration) -> Self {
        Self { next: Next::Snooze(delay), error: None }
    }

    /// Comes back at once with `cursor`, without using an attempt: a long job in steps. The next run reads it with
    /// [`Context::cursor`]. A cursor that stands still a hundred times in a row makes the job dead.
    pub fn continue_with(cursor: impl Serialize) -> Self {
        match serde_json::to_value(cursor) {
            Ok(cursor) => Self { next: Next::Continue(cursor), error: None },
            Err(error) => Self::from(format!("the cursor cannot be written as JSON: {error}")),
        }
    }

    /// Returns what is to happen next.
    pub fn next(&self) -> &Next {
        &self.next
    }

    /// Returns the error and its causes in one line; empty for a snooze and a continuation.
    pub fn message(&self) -> String {
        let Some(error) = &self.error else {
            return String::new();
        };
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // Some errors print their cause themselves.
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            source = cause.source();
        }
        text
    }
}

impl<E: Into<BoxError>> From<E> for JobError {
    fn from(error: E) -> Self {
        Self { next: Next::Retry { delay: None }, error: Some(error.into()) }
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.next)?;
        if self.error.is_some() {
            write!(f, ": {}", self.message())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing() -> Result<(), JobError> {
        std::fs::read("/nonexistent/file")?;
        Ok(())
    }

    #[test]
    fn any_error_becomes_a_retry() {
        assert_eq!(failing().unwrap_err().next(), &Next::Retry { delay: None });
        assert_eq!(JobError::from("text").message(), "text");
    }

    #[test]
    fn causes_are_told_in_one_line() {
        let cause = crate::error::Error::invalid("inner");
        let error = JobError::from(crate::error::Error::rejected("outer").caused_by(cause));
        assert_eq!(error.message(), "outer: inner");
    }

    #[test]
    fn a_cursor_that_is_no_json_fails_the_run() {
        let map = std::collections::BTreeMap::from([(vec![1u8], 1)]);
        let error = JobError::continue_with(map);
        assert_eq!(error.next(), &Next::Retry { delay: None });
        assert!(error.message().starts_with("the cursor cannot be written as JSON"));
    }
}
