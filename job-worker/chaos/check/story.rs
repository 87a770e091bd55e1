//! Gathers from the histories of all processes what became of each job.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::record::{Event, Fault, History, Settled, Turn};
use crate::script::Expected;

/// How long after a theft a process may still take for its own what it has lost: a beat of its housekeeping, on a
/// machine that is busy.
const STEAL_US: i64 = 5_000_000;

/// What became of all jobs, and what was done to the processes.
pub(super) struct Stories<'a> {
    pub(super) jobs: BTreeMap<&'a str, Story<'a>>,
    pub(super) harms: Vec<Harm<'a>>,
    /// Publishes that never got an answer, by process.
    unanswered: HashMap<&'a str, usize>,
}

/// What became of one job.
#[derive(Default)]
pub(super) struct Story<'a> {
    pub(super) expected: Option<Expected>,
    pub(super) hash: u64,
    then: Option<&'a str>,
    pub(super) is_stored: bool,
    pub(super) is_rejected: bool,
    pub(super) effects: usize,
    pub(super) dead: usize,
    pub(super) runs: Vec<Run<'a>>,
}

/// One run of one turn.
pub(super) struct Run<'a> {
    pub(super) process: &'a str,
    pub(super) turn: &'a Turn,
    pub(super) at: i64,
    pub(super) hash: u64,
    pub(super) settled: Option<(i64, Settled)>,
}

/// What was done to a process.
pub(super) struct Harm<'a> {
    pub(super) kind: Fault,
    pub(super) victim: &'a str,
    pub(super) at: i64,
}

impl<'a> Stories<'a> {
    pub(super) fn gather(histories: &'a [History]) -> Self {
        let mut stories = Self { jobs: BTreeMap::new(), harms: Vec::new(), unanswered: HashMap::new() };
        histories.iter().for_each(|history| stories.add(history));
        stories.store_followers();
        stories
    }

    /// Counts the faults that struck a process with unsettled work.
    pub(super) fn strikes(&self) -> usize {
        let mut open: HashSet<&str> = self.unanswered.keys().copied().collect();
        let mut drained = HashSet::new();
        for run in self.jobs.values().flat_map(|job| &job.runs) {
            if run.settled.is_none() {
                open.insert(run.process);
            }
            let is_cut = |harm: &&Harm<'_>| {
                harm.kind == Fault::Drain
                    && harm.victim == run.process
                    && run.at <= harm.at
                    && run.settled.is_none_or(|(at, _)| at >= harm.at)
            };
            drained.extend(self.harms.iter().filter(is_cut).map(|harm| harm.victim));
        }
        let is_struck = |harm: &&Harm<'_>| match harm.kind {
            Fault::Kill => open.contains(harm.victim),
            Fault::Drain => drained.contains(harm.victim),
            Fault::Blackout | Fault::Point | Fault::Steal => false,
        };
        self.harms.iter().filter(is_struck).count()
    }

    fn add(&mut self, history: &'a History) {
        let process = history.process.as_str();
        let mut running: HashMap<&Turn, usize> = HashMap::new();
        let mut invoked: HashSet<&str> = HashSet::new();
        for record in &history.records {
            match &record.event {
                Event::Invoked { id, hash, expected, then } => {
                    invoked.insert(id);
                    // Its fate is that of the job that it follows.
                    if let Some(then) = then {
                        invoked.remove(then.as_str());
                    }
                    let job = self.job(id);
                    (job.expected, job.hash, job.then) = (Some(*expected), *hash, then.as_deref());
                }
                Event::Stored { id } => {
                    invoked.remove(id.as_str());
                    self.job(id).is_stored = true;
                }
                Event::Rejected { id, .. } => {
                    invoked.remove(id.as_str());
                    self.job(id).is_rejected = true;
                }
                Event::Unconfirmed { id } => {
                    invoked.remove(id.as_str());
                }
                Event::Started { turn, hash } => {
                    let job = self.job(&turn.id);
                    running.insert(turn, job.runs.len());
                    job.runs.push(Run { process, turn, at: record.at, hash: *hash, settled: None });
                }
                Event::Settled { turn, outcome } => {
                    if let Some(place) = running.remove(turn) {
                        self.job(&turn.id).runs[place].settled = Some((record.at, *outcome));
                    }
                }
                Event::Effect { id } => self.job(id).effects += 1,
                Event::Dead { id } => self.job(id).dead += 1,
                Event::Fault { kind, victim } => self.harms.push(Harm { kind: *kind, victim, at: record.at }),
                _ => {}
            }
        }
        if !invoked.is_empty() {
            self.unanswered.insert(process, invoked.len());
        }
    }

    fn job(&mut self, id: &'a str) -> &mut Story<'a> {
        self.jobs.entry(id).or_default()
    }

    /// What follows a stored job is stored with that job's end.
    fn store_followers(&mut self) {
        let stored: Vec<&str> = self.jobs.values().filter(|job| job.is_stored).filter_map(|job| job.then).collect();
        stored.into_iter().for_each(|id| self.job(id).is_stored = true);
    }
}

impl Story<'_> {
    /// True when the job must reach an end: its publish was confirmed, or it ran, which proves that it was stored.
    pub(super) fn must_end(&self) -> bool {
        self.is_stored || (self.expected.is_some() && !self.runs.is_empty())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.effects + self.dead > 0
    }

    /// True when a client may think, or cannot know whether, it is stored.
    pub(super) fn is_invited(&self) -> bool {
        self.expected.is_some() && (self.is_stored || !self.is_rejected)
    }
}

impl Run<'_> {
    /// True when the run was recorded as over.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.settled, Some((_, Settled::Gone | Settled::Back)))
    }

    /// True when what was done to its process explains that the turn runs once more.
    pub(super) fn is_cut_by(&self, harm: &Harm<'_>) -> bool {
        harm.victim == self.process
            && match harm.kind {
                Fault::Kill | Fault::Blackout | Fault::Point => self.settled.is_none(),
                Fault::Steal => self.at <= harm.at + STEAL_US && self.settled.is_none_or(|(at, _)| at > harm.at),
                Fault::Drain => false,
            }
    }
}
