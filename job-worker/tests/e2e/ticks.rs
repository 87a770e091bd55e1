//! What the schedulers of the end-to-end tests wrote down: who led, which ticks were fired and run, and when.

use job_core::clock::{Clock, Timestamp};

use crate::scene::Scene;

/// Something that a scheduler did.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    /// `leads`, `fired`, `ran` or `nightly`.
    pub(crate) what: String,
    /// The tick, or what stands for one.
    pub(crate) tick: String,
    pub(crate) at: Timestamp,
    pub(crate) process: u32,
}

impl Note {
    /// Reads what all processes wrote down, in the order in which it happened.
    pub(crate) fn all(scene: &Scene) -> Vec<Self> {
        let mut notes: Vec<Self> = scene.history_text().lines().map(Self::parse).collect();
        notes.sort_by_key(|note| note.at);
        notes
    }

    /// The clock by which they are written.
    pub(crate) fn now() -> Timestamp {
        Clock::system().now()
    }

    fn parse(line: &str) -> Self {
        let [what, tick, at, process] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("a torn line in the history: {line:?}");
        };
        let at = Timestamp::from_timestamp_micros(at.parse().expect("a number")).expect("an instant");
        Self { what: what.into(), tick: tick.into(), at, process: process.parse().expect("a number") }
    }
}

/// Returns the process that fired last, and how many ticks it has fired in a row.
pub(crate) fn leader(notes: &[Note]) -> Option<(u32, usize)> {
    let fired = || notes.iter().rev().filter(|note| note.what == "fired");
    let process = fired().next()?.process;
    Some((process, fired().take_while(|note| note.process == process).count()))
}
