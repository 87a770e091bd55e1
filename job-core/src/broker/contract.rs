//! The conformance suite: what every broker does, as cases that each can fail. It is the real definition of the seam.
//!
//! A broker's tests implement [`Fixture`] and call [`contract_tests!`](crate::contract_tests), which makes one test of
//! each case. A case that does not apply says so on standard error, and only where the fixture said that it would not.
//! Waits end on a condition; [`LIVENESS`] only bounds them.

mod bench;
mod close;
#[macro_use]
mod cases;
mod delay;
mod delivery;
mod inspect;
mod leadership;
mod ledger;
mod process;
mod reader;
mod route;
mod settle;
mod storm;
mod wake;

use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::broker::{BoxFuture, Broker, Capabilities};
use crate::clock::Clock;

pub use cases::cases;

use bench::Bench;

/// The longest wait for something that must happen; four times as long where the environment has `CI`.
pub const LIVENESS: Duration = Duration::from_secs(5);

/// The longest run of one case, in units of [`LIVENESS`]: it has a dozen waits at the most.
const CASE_LIVENESS_MAX: u32 = 12;

/// How the suite gets at a broker: a fresh store, shared by as many processes as a case opens.
pub trait Fixture: Send + Sync {
    /// Opens the store as a fresh process would.
    fn open(&self) -> BoxFuture<'_, Process>;

    /// Lets time pass: moves the manual clock, or really waits.
    fn pass(&self, duration: Duration) -> BoxFuture<'_, ()>;

    /// Returns a delay that can be waited out with [`pass`](Self::pass). Defaults to an hour, for a manual clock.
    fn delay(&self) -> Duration {
        Duration::from_secs(3600)
    }

    /// Returns how long the survivors need to notice a death; cases let that much time pass. Defaults to zero.
    fn death_notice(&self) -> Duration {
        Duration::ZERO
    }

    /// Returns what this broker or fixture has not; the cases that need it do not apply. Defaults to nothing.
    fn lacks(&self) -> &'static [Need] {
        &[]
    }
}

/// One process that uses the store.
pub struct Process {
    broker: Arc<dyn Broker>,
    kill: Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>,
}

/// What some cases need and not every broker has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// [`Capabilities::is_deduplicating`].
    Dedup,
    /// [`Capabilities::is_fire_exact`].
    FireExact,
    /// [`Capabilities::can_find`].
    Find,
    /// [`Capabilities::can_cancel`]: `take` by id, and from any queue.
    Cancel,
    /// Work queues can be browsed, and all counts are told.
    Counts,
    /// Deliveries come strictly by due time, and then in the order of publishing.
    Order,
    /// A release or an orderly close does not count as a redelivery.
    Redeliveries,
    /// The fixture moves the clock by hand, so that an instant can be hit.
    ManualClock,
}

/// One case of the suite.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// The fact that it checks.
    pub name: &'static str,
    needs: &'static [Need],
    run: fn(Bench) -> Pin<Box<dyn Future<Output = ()>>>,
}

impl Process {
    /// Makes a process of its broker, and of what ends it as a crash would: it settles nothing more, and its store is
    /// told nothing.
    pub fn new(broker: Arc<dyn Broker>, kill: impl FnOnce() -> BoxFuture<'static, ()> + Send + 'static) -> Self {
        Self { broker, kill: Box::new(kill) }
    }
}

impl Need {
    /// Returns whether a broker says that it has this; `None` where capabilities do not tell.
    fn is_met_by(self, capabilities: &Capabilities) -> Option<bool> {
        match self {
            Self::Dedup => Some(capabilities.is_deduplicating),
            Self::FireExact => Some(capabilities.is_fire_exact),
            Self::Find => Some(capabilities.can_find),
            Self::Cancel => Some(capabilities.can_cancel),
            Self::Counts | Self::Order | Self::Redeliveries | Self::ManualClock => None,
        }
    }
}

/// Runs one case on a fixture that is made inside the runtime, as [`contract_tests!`](crate::contract_tests) does.
///
/// # Panics
/// When the broker breaks the contract.
pub fn run<F: Fixture + 'static>(name: &str, fixture: impl FnOnce() -> F + Send + 'static) {
    let case = cases().iter().find(|case| case.name == name).expect("the macro names cases of this list");
    let fixture = move || -> Box<dyn Fixture> { Box::new(fixture()) };
    // Several threads, or a wake-up that is lost between two would never be seen.
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().expect("a runtime can be built");
    // A thread of its own, so that a broker that spins without yielding is seen too.
    let handle = runtime.handle().clone();
    let run = runtime.spawn_blocking(move || handle.block_on(run_case(case, fixture)));
    let limit = bench::liveness() * CASE_LIVENESS_MAX;
    let ended = runtime.block_on(Clock::system().timeout(limit, run));
    runtime.shutdown_background();
    match ended {
        None => panic!("case {name} did not end within {limit:?}"),
        Some(Ok(())) => {}
        Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
    }
}

async fn run_case(case: &Case, fixture: impl FnOnce() -> Box<dyn Fixture>) {
    let fixture = fixture();
    if let Some(lacking) = case.needs.iter().find(|need| fixture.lacks().contains(need)) {
        // Past the capture of test output, which would swallow it.
        let _ = writeln!(std::io::stderr(), "contract case {} does not apply: it needs {lacking:?}", case.name);
        return;
    }
    (case.run)(Bench::new(fixture)).await;
}
