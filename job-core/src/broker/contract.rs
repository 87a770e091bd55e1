//! The conformance suite: what every broker does, as cases that each can fail. It is the real definition of the seam.
//!
//! A broker's tests implement [`Fixture`] and call [`contract_tests!`](crate::contract_tests), which makes one test of
//! each case. A case that does not apply says so on standard error, and only where the fixture said that it would not.
//! Waits end on a condition; [`LIVENESS`] only bounds them.

mod bench;
#[macro_use]
mod cases;
mod close;
mod delay;
mod delivery;
mod fixture;
mod inspect;
mod leadership;
mod ledger;
mod lifetime;
mod message;
mod process;
mod reader;
mod route;
mod settle;
mod storm;
mod wait;
mod wake;

use std::io::Write;

use crate::clock::Clock;

pub use cases::{Case, cases};
pub use fixture::{Fixture, Need, Process};
pub use wait::LIVENESS;

use bench::Bench;

/// The longest run of one case, in units of [`LIVENESS`]: it has a dozen waits at the most.
const CASE_LIVENESS_MAX: u32 = 12;

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
    let limit = wait::liveness() * CASE_LIVENESS_MAX;
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
