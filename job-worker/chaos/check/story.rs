//! Gathers from the histories of all processes what became of each job.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::check::harm::Harm;
use crate::record::{Event, Fault, History, Record, Settled, Turn};
use crate::script::Expected;

/// Queues of the workers, in which jobs wait that were moved there.
pub(super) const QUEUES: usize = 2;

/// How many jobs show how long a queue was: a few, as one alone may have met a fault of its own.
const WITNESSES: usize = 20;

/// What became of all jobs, and what was done to the processes.
pub(super) struct Stories<'a> {
    pub(super) jobs: BTreeMap<&'a str, Story<'a>>,
    pub(super) harms: Vec<Harm<'a>>,
    /// When the first run began, by the role of the process.
    begun: HashMap<&'a str, i64>,
    /// The broker settles a job and stores what follows in one step.
    pub(super) is_atomic: bool,
    /// Publishes and redrives that never got an answer, by process.
    unanswered: HashMap<&'a str, usize>,
}

/// What became of one job.
#[derive(Default)]
pub(super) struct Story<'a> {
    pub(super) expected: Option<Expected>,
    pub(super) hash: u64,
    then: Option<&'a str>,
    /// The job that stores this one with its end.
    pub(super) leader: Option<&'a str>,
    pub(super) is_delayed: bool,
    pub(super) publish: Option<Span<'a>>,
    pub(super) is_stored: bool,
    pub(super) is_rejected: bool,
    pub(super) effects: usize,
    pub(super) dead: usize,
    pub(super) runs: Vec<Run<'a>>,
    pub(super) redrives: Vec<(&'a Turn, Span<'a>)>,
    /// By whom it was found to be unable to run, when, and why.
    pub(super) refusals: Vec<(&'a str, i64, &'a str)>,
}

/// Something that a process had under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    pub(super) process: &'a str,
    pub(super) from: i64,
    /// When it ended, with or without success; `None` when its process died over it.
    pub(super) to: Option<i64>,
}

/// One run of one turn.
pub(super) struct Run<'a> {
    pub(super) span: Span<'a>,
    pub(super) turn: &'a Turn,
    pub(super) hash: u64,
    /// What was recorded of it.
    pub(super) settled: Option<Settled>,
}

impl<'a> Stories<'a> {
    pub(super) fn gather(histories: &'a [History]) -> Self {
        let mut stories = Self {
            jobs: BTreeMap::new(),
            harms: Vec::new(),
            begun: HashMap::new(),
            is_atomic: true,
            unanswered: HashMap::new(),
        };
        histories.iter().for_each(|history| stories.add(history));
        stories.lead();
        stories.jobs.values_mut().for_each(|job| job.runs.sort_by_key(|run| run.span.from));
        for span in stories.jobs.values().flat_map(|job| &job.runs).map(|run| run.span) {
            stories.begun.entry(role(span.process)).and_modify(|at| *at = span.from.min(*at)).or_insert(span.from);
        }
        stories.time_moves();
        stories
    }

    /// Finds until when the jobs ran that stood in a queue when a fault was over. One that was moved there by then stood among
    /// them: where the queue was long, its run tells nothing of when it was moved.
    fn time_moves(&mut self) {
        let mut published: [Vec<(i64, i64)>; QUEUES] = Default::default();
        for job in self.jobs.values().filter(|job| !job.is_delayed && job.then.is_none()) {
            let stored = job.publish.filter(|_| job.is_stored).and_then(|publish| publish.to);
            published[job.queue()].extend(stored.zip(job.runs.first().map(|run| run.span.from)));
        }
        published.iter_mut().for_each(|jobs| jobs.sort_unstable());
        for harm in &mut self.harms {
            let last = harm.last();
            harm.moved_until = std::array::from_fn(|queue| {
                let jobs = &published[queue];
                let count = jobs.partition_point(|(stored, _)| *stored <= last);
                let runs = jobs[count.saturating_sub(WITNESSES)..count].iter().map(|(_, run)| *run);
                runs.max().unwrap_or_default().max(last)
            });
        }
    }

    /// Returns when the first job ran of those in the queues of this one: processes of one role have the same queues.
    pub(super) fn begun(&self, job: &Story<'_>) -> i64 {
        job.runs.first().and_then(|run| self.begun.get(role(run.span.process))).copied().unwrap_or_default()
    }

    /// Counts the faults that struck a process with unsettled work.
    pub(super) fn strikes(&self) -> usize {
        let mut open: HashSet<&str> = self.unanswered.keys().copied().collect();
        let mut drained = HashSet::new();
        for run in self.jobs.values().flat_map(|job| &job.runs) {
            if run.span.to.is_none() {
                open.insert(run.span.process);
            }
            let is_cut = |harm: &&Harm<'_>| {
                harm.kind == Fault::Drain
                    && harm.victim == run.span.process
                    && run.span.from <= harm.from
                    && run.span.to.is_none_or(|to| to >= harm.from)
            };
            drained.extend(self.harms.iter().filter(is_cut).map(|harm| harm.victim));
        }
        let is_struck = |harm: &&Harm<'_>| match harm.kind {
            Fault::Kill => open.contains(harm.victim),
            Fault::Drain => drained.contains(harm.victim),
            _ => false,
        };
        self.harms.iter().filter(is_struck).count()
    }

    fn add(&mut self, history: &'a History) {
        let process = history.process.as_str();
        // Two copies of a job may run side by side in one process: the first to begin is taken for the first to end.
        let mut running: HashMap<&Turn, VecDeque<usize>> = HashMap::new();
        let mut redriving: HashMap<&Turn, VecDeque<usize>> = HashMap::new();
        let mut invoked: HashSet<&str> = HashSet::new();
        for Record { at, event } in &history.records {
            let span = Span { process, from: *at, to: None };
            match event {
                Event::Invoked { id, hash, expected, then, is_delayed } => {
                    invoked.insert(id);
                    // Its fate is that of the job that it follows.
                    if let Some(then) = then {
                        invoked.remove(then.as_str());
                    }
                    let job = self.job(id);
                    (job.expected, job.hash, job.then) = (Some(expected.clone()), *hash, then.as_deref());
                    (job.is_delayed, job.publish) = (*is_delayed, Some(span));
                }
                Event::Stored { id } | Event::Rejected { id, .. } | Event::Unconfirmed { id } => {
                    invoked.remove(id.as_str());
                    self.answer(id, event, *at);
                }
                Event::Started { turn, hash } => {
                    let job = self.job(&turn.id);
                    running.entry(turn).or_default().push_back(job.runs.len());
                    job.runs.push(Run { span, turn, hash: *hash, settled: None });
                }
                Event::Settled { turn, .. } | Event::Unrecorded { turn } => {
                    if let Some(place) = running.get_mut(turn).and_then(VecDeque::pop_front) {
                        let run = &mut self.job(&turn.id).runs[place];
                        run.span.to = Some(*at);
                        run.settled = if let Event::Settled { outcome, .. } = event { Some(*outcome) } else { None };
                    }
                }
                Event::Redriving { turn } => {
                    let job = self.job(&turn.id);
                    redriving.entry(turn).or_default().push_back(job.redrives.len());
                    job.redrives.push((turn, span));
                }
                Event::Redriven { turn } | Event::Unredriven { turn } => {
                    if let Some(place) = redriving.get_mut(turn).and_then(VecDeque::pop_front) {
                        self.job(&turn.id).redrives[place].1.to = Some(*at);
                    }
                }
                Event::Refused { turn, reason } => self.job(&turn.id).refusals.push((process, *at, reason)),
                Event::Effect { id } => self.job(id).effects += 1,
                Event::Dead { id } => self.job(id).dead += 1,
                Event::Terms { is_atomic } => self.is_atomic = *is_atomic,
                Event::Fault { kind, victim } => self.harms.push(Harm::new(*kind, victim, *at)),
                Event::Healed => self.harms.iter_mut().for_each(|harm| harm.heal(*at)),
                _ => {}
            }
        }
        let open = invoked.len() + redriving.values().map(VecDeque::len).sum::<usize>();
        if open > 0 {
            self.unanswered.insert(process, open);
        }
    }

    fn answer(&mut self, id: &'a str, event: &Event, at: i64) {
        let job = self.job(id);
        job.is_stored |= matches!(event, Event::Stored { .. });
        job.is_rejected |= matches!(event, Event::Rejected { .. });
        if let Some(publish) = &mut job.publish {
            publish.to = Some(at);
        }
    }

    fn job(&mut self, id: &'a str) -> &mut Story<'a> {
        self.jobs.entry(id).or_default()
    }

    /// What follows a stored job is stored with that job's end.
    fn lead(&mut self) {
        let leaders: Vec<(&str, &str, bool)> =
            self.jobs.iter().filter_map(|(id, job)| Some((*id, job.then?, job.is_stored))).collect();
        for (leader, follower, is_stored) in leaders {
            let job = self.job(follower);
            job.is_stored |= is_stored;
            job.leader = Some(leader);
            // Its publish is the end of its leader.
            job.publish = None;
        }
    }
}

impl Story<'_> {
    /// True when the job must reach an end: its publish was confirmed, or it ran, which proves that it was stored.
    pub(super) fn must_end(&self) -> bool {
        self.is_stored || (self.expected.is_some() && !self.runs.is_empty())
    }

    /// Returns the number of its queue: what is to be redriven has one of its own.
    pub(super) fn queue(&self) -> usize {
        usize::from(self.expected.as_ref().is_some_and(|expected| expected.lives.len() > 1))
    }

    pub(super) fn has_ended(&self) -> bool {
        self.effects + self.dead > 0
    }

    /// True when a client may think, or cannot know whether, it is stored.
    pub(super) fn is_invited(&self) -> bool {
        self.expected.is_some() && (self.is_stored || !self.is_rejected)
    }
}

impl Span<'_> {
    /// True when it had not ended by an instant.
    pub(super) fn is_open_at(&self, at: i64) -> bool {
        self.to.is_none_or(|to| to >= at)
    }
}

impl Run<'_> {
    /// True when the run was recorded as over.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.settled, Some(Settled::Gone | Settled::Back))
    }

    /// Returns where among its job's turns it stands.
    pub(super) fn step(&self) -> (u32, u32) {
        (self.turn.sequence, self.turn.attempt)
    }
}

/// Returns the role of a process, by its name.
fn role(process: &str) -> &str {
    process.rsplit_once('-').unwrap_or_default().0
}
