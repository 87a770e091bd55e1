//! One attempt: polls the handler under its timeout, catches its panics, and gives up when the worker stops.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use job_core::broker::BoxFuture;
use job_core::context::Parts;
use job_core::envelope::{DeathReason, Envelope};
use job_core::observation::{Observation, Run};
use job_core::registry::Work;

use crate::executor::Executor;
use crate::executor::stall::{StallWatch, Turn};
use crate::middleware::{RunResult, wrap};
use crate::roster::Route;
use crate::verdict::Ending;

/// Runs a decoded job once, in its middleware; `around` is there when anything but the handler needs it.
pub(super) fn attempt<'a>(
    executor: &'a Executor,
    route: &'a Route,
    turn: Turn,
    around: Option<Box<Parts>>,
    work: Work,
) -> impl Future<Output = Ending> + Send + 'a {
    let (work, is_blocking) = match work {
        Work::Async(work) => (work, false),
        Work::Blocking(call) => (on_blocking_pool(call), true),
    };
    let work = match &around {
        Some(parts) => wrap(&executor.middleware, parts, work),
        None => work,
    };
    let guarded = Guarded { work: Some(work), turn, watch: executor.stall.clone() };
    async move {
        match around {
            // In a box: the future of each run would be as large as this one otherwise.
            Some(parts) if is_blocking => Box::pin(attempt_blocking(executor, route, &parts, guarded)).await,
            _ => attempt_async(executor, route, guarded).await,
        }
    }
}

/// A future is dropped when its time is over.
async fn attempt_async(executor: &Executor, route: &Route, mut guarded: Guarded) -> Ending {
    let begun = executor.clock.monotonic();
    tokio::select! {
        biased;
        ending = &mut guarded => ending,
        () = limit(executor, begun, route.options.timeout) => {
            Ending::TimedOut(route.options.timeout.unwrap_or_default())
        }
        () = executor.stop.abort().cancelled() => Ending::Interrupted,
    }
}

/// A thread cannot be killed: its timeout only signals, and the job is settled when the thread returns, so that no
/// second run starts beside it.
async fn attempt_blocking(executor: &Executor, route: &Route, parts: &Parts, mut guarded: Guarded) -> Ending {
    let begun = executor.clock.monotonic();
    tokio::select! {
        biased;
        ending = &mut guarded => return ending,
        () = limit(executor, begun, route.options.timeout) => {}
    }
    parts.cancellation.cancel();
    let Envelope { id, sequence, attempt, .. } = &*parts.envelope;
    let run = Run { queue: &parts.queue, kind: route.kind, id, sequence: *sequence, attempt: *attempt };
    executor.observers.emit(&Observation::Overdue {
        run,
        duration: route.options.timeout.unwrap_or_default(),
        what: "its timeout has passed, and its thread runs on; have the handler ask cx.is_cancelled()",
    });
    match guarded.await {
        // It noticed, or failed by itself: either way its time was over.
        Ending::Failed(_) => Ending::TimedOut(route.options.timeout.unwrap_or_default()),
        ending => ending,
    }
}

/// Ends when the run that began at `begun` has used up its time. Not counted from the first poll of this: the run is
/// polled before, and its clock may have moved meanwhile.
async fn limit(executor: &Executor, begun: Instant, timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => executor.clock.sleep(timeout.saturating_sub(executor.clock.monotonic() - begun)).await,
        None => std::future::pending().await,
    }
}

fn on_blocking_pool(call: Box<dyn FnOnce() -> RunResult + Send>) -> BoxFuture<'static, RunResult> {
    Box::pin(async move {
        match tokio::task::spawn_blocking(call).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err("the runtime was shut down before the job ran".into()),
            },
        }
    })
}

/// Calls something that may panic; the panic's message is the error.
pub(super) fn catch<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    // What the call leaves half done is dropped with it: nobody sees it broken.
    catch_unwind(AssertUnwindSafe(call)).map_err(|panic| panic_message(&*panic))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a value that is no text".into())
}

/// A handler's future whose panics end it, in a poll and in a drop, and whose polls are watched.
struct Guarded {
    work: Option<BoxFuture<'static, RunResult>>,
    turn: Turn,
    watch: StallWatch,
}

impl Future for Guarded {
    type Output = Ending;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Ending> {
        let this = &mut *self;
        let Some(work) = this.work.as_mut() else {
            return Poll::Ready(Ending::Unrunnable(DeathReason::Undecodable, "polled after its end".into()));
        };
        let watched = this.watch.enter(&this.turn);
        let poll = catch(|| work.as_mut().poll(cx));
        drop(watched);
        let ending = match poll {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Ok(()))) => Ending::Completed,
            Ok(Poll::Ready(Err(error))) => Ending::Failed(error),
            Err(panic) => Ending::Panicked(panic),
        };
        Poll::Ready(match this.drop_work() {
            Err(panic) => Ending::Panicked(panic),
            Ok(()) => ending,
        })
    }
}

impl Guarded {
    fn drop_work(&mut self) -> Result<(), String> {
        let work = self.work.take();
        catch(|| drop(work))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // A panic of a handler's own Drop must not take the worker's task with it.
        let _ = self.drop_work();
    }
}
