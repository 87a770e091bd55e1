//! What a process writes down of what it does: one line a record, each in one write, so that a kill tears at
//! most the last one.
//!
//! Instants are those of the wall clock, in microseconds: the processes share one machine, and no rule depends on less
//! than a quarter of a second.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::Path;

use job_core::clock::Clock;
use job_core::envelope::Envelope;
use job_core::observation::Run;
use serde::{Deserialize, Serialize};

use crate::script::Expected;

/// How a history's file name ends.
pub(crate) const SUFFIX: &str = "history";

/// The director's history, which tells of the faults.
pub(crate) const DIRECTOR: &str = "director";

/// The environment variable that names the process's own history.
const VARIABLE: &str = "JOB_CHAOS_HISTORY";

/// Something that a process did or saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// When, in microseconds of the wall clock.
    pub(crate) at: i64,
    pub(crate) event: Event,
}

/// What a process did or saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// What the broker of this run promises: whether it settles a job and stores what follows in one step.
    Terms { is_atomic: bool },
    /// A job is about to be published. `then` is stored when the job is done.
    Invoked { id: String, hash: u64, expected: Expected, then: Option<String>, is_delayed: bool },
    /// The publish was confirmed.
    Stored { id: String },
    /// The publish was refused.
    Rejected { id: String, error: String },
    /// Nobody knows what became of the publish.
    Unconfirmed { id: String },
    /// A run began.
    Started { turn: Turn, hash: u64 },
    /// The handler did what the job is for.
    Effect { id: String },
    /// The handler returned; nothing is recorded yet.
    Finished { turn: Turn, answer: String },
    /// The outcome of a run is recorded.
    Settled { turn: Turn, outcome: Settled },
    /// The outcome of a run could not be recorded.
    Unrecorded { turn: Turn },
    /// A job was found to be unable to run, and is to be dead.
    Refused { turn: Turn, reason: String },
    /// A job was put aside without a run.
    PutAside { turn: Turn, reason: String },
    /// A dead job is about to go back to its queue; this is the turn in which it died.
    Redriving { turn: Turn },
    /// It has gone back.
    Redriven { turn: Turn },
    /// Nobody knows whether it has.
    Unredriven { turn: Turn },
    /// The process starts nothing any more.
    Draining,
    /// The director did harm to a process, or to the broker and with it to all.
    Fault { kind: Fault, victim: String },
    /// The broker is well again.
    Healed,
    /// A process ended by itself, or not as it was told to.
    Died { victim: String, status: String },
    /// The broker's own check found damage.
    Damaged { detail: String },
    /// A job was found among the dead.
    Dead { id: String },
    /// Jobs were left in a queue when the run had to end.
    Left { queue: String, count: u64 },
    /// The run proves nothing.
    Void { reason: String },
}

/// One turn of one job: while it is the same, a second run is a duplicate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Turn {
    pub(crate) id: String,
    pub(crate) sequence: u32,
    pub(crate) attempt: u32,
}

/// What was recorded of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Settled {
    /// It is done, or dead.
    Gone,
    /// It comes back as another turn.
    Back,
    /// It comes back as the same turn.
    Released,
}

/// What the director does to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Fault {
    /// Kills it with SIGKILL.
    Kill,
    /// Kills it together with all others.
    Blackout,
    /// Has it die at a fail point.
    Point,
    /// Takes from a living process what proves that it lives.
    Steal,
    /// Tells it to stop: it must do no harm.
    Drain,
    /// Kills the broker with SIGKILL.
    Broker,
    /// Has the broker close all connections.
    Cut,
    /// Has the broker think that it is short of memory or of disk: it takes no messages any more.
    Alarm,
}

impl Fault {
    /// True for what is done to the broker, and lasts until it is healed: all its clients are victims.
    pub(crate) fn is_of_broker(self) -> bool {
        matches!(self, Self::Broker | Self::Cut | Self::Alarm)
    }
}

/// The history of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) process: String,
    pub(crate) records: Vec<Record>,
}

/// An open history.
pub(crate) struct Book {
    file: File,
    clock: Clock,
}

impl Turn {
    pub(crate) fn of_run(run: Run<'_>) -> Self {
        Self { id: run.id.to_string(), sequence: run.sequence, attempt: run.attempt }
    }

    pub(crate) fn of(envelope: &Envelope) -> Self {
        Self { id: envelope.id.to_string(), sequence: envelope.sequence, attempt: envelope.attempt }
    }
}

impl Book {
    /// Opens the history that the environment names.
    pub(crate) fn of_this_process() -> io::Result<Self> {
        let path = std::env::var_os(VARIABLE).ok_or_else(|| io::Error::other(format!("{VARIABLE} names no file")))?;
        Self::open(Path::new(&path))
    }

    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { file: OpenOptions::new().append(true).create(true).open(path)?, clock: Clock::system() })
    }

    /// Appends a record.
    pub(crate) fn note(&self, event: Event) {
        let record = Record { at: self.clock.now().timestamp_micros(), event };
        let mut line = serde_json::to_string(&record).expect("a record is JSON");
        line.push('\n');
        (&self.file).write_all(line.as_bytes()).expect("the history can be written");
    }
}

/// Returns the variable and the path that make a process write a history.
pub(crate) fn variable(folder: &Path, process: &str) -> (&'static str, std::path::PathBuf) {
    (VARIABLE, folder.join(format!("{process}.{SUFFIX}")))
}

/// Returns what stands for a payload in a history.
pub(crate) fn hash(payload: &[u8]) -> u64 {
    // The keys of this hasher are constants: all processes of one build agree.
    let mut hasher = DefaultHasher::new();
    payload.hash(&mut hasher);
    hasher.finish()
}

/// Reads all histories of a folder.
pub(crate) fn read_folder(folder: &Path) -> io::Result<Vec<History>> {
    let mut histories = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != SUFFIX) {
            continue;
        }
        let process = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path)?;
        // SIGKILL can cut a write where it crosses a page. What it would have told had not gone on yet.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let records = text[..whole].lines().map(parse).collect::<io::Result<_>>()?;
        histories.push(History { process, records });
    }
    histories.sort_by(|a, b| a.process.cmp(&b.process));
    Ok(histories)
}

/// Reads a record.
pub(crate) fn parse(line: &str) -> io::Result<Record> {
    serde_json::from_str(line).map_err(|error| io::Error::other(format!("a torn record {line:?}: {error}")))
}
