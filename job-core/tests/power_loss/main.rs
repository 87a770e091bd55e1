//! What the embedded broker has confirmed outlives a loss of power, at whatever moment it comes.
//!
//! A program that uses the broker is recorded; then, for each of many moments, the disk is made as a loss of power could
//! have left it, and opened again. `JOB_POWER_IMAGES` says how many (500 when it is not set), `JOB_POWER_SEED` which.

#![allow(clippy::unwrap_used, reason = "a test program")]

mod content;
mod disk;
mod promise;
mod record;
mod recording;
mod script;
mod trace;
mod trial;

use std::path::PathBuf;
use std::sync::OnceLock;

use job_core::sabotage::Mutant;

use content::DATABASE;
use record::Event;
use trial::{Plan, Verdict};

const IMAGES: &str = "JOB_POWER_IMAGES";
const SEED: &str = "JOB_POWER_SEED";

/// Images of each negative control.
const CONTROL_IMAGES: usize = 100;

/// What the program does when it was started to be recorded; nothing else.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_recorded() {
    let Some(directory) = std::env::var_os(recording::DIRECTORY) else { return };
    script::run(&PathBuf::from(directory)).await;
}

#[test]
fn what_was_confirmed_is_in_every_image() {
    let plan = Plan { images: number(IMAGES).unwrap_or(500), seed: number(SEED).unwrap_or(0) as u64 };
    let verdict = trial::run(recorded(), plan);
    println!("{verdict}");
    assert!(verdict.confirmed > 0 && verdict.breaches.is_empty(), "{:#?}", verdict.breaches);
}

#[test]
fn publishes_that_are_not_flushed_are_lost() {
    let verdict = control(&recording::record(Some(Mutant::EnqueueUnflushed)));
    assert!(verdict.lost > 0, "{verdict}");
    // What SQLite promises of NORMAL.
    assert_eq!(verdict.corrupt, 0, "{verdict}");
}

#[test]
fn checkpoints_that_are_not_flushed_lose_and_corrupt() {
    let verdict = control(&record::without_syncs(recorded(), DATABASE));
    assert!(verdict.lost > 0 && verdict.corrupt > 0, "{verdict}");
}

fn control(events: &[Event]) -> Verdict {
    trial::run(events, Plan { images: CONTROL_IMAGES, seed: 1 })
}

/// Returns the record, made once for all tests.
fn recorded() -> &'static [Event] {
    static RECORD: OnceLock<Vec<Event>> = OnceLock::new();
    RECORD.get_or_init(|| recording::record(None))
}

fn number(name: &str) -> Option<usize> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}")))
}
