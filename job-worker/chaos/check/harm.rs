//! What a fault explains: which of the things that were under way when it fell may come to pass twice.

use crate::check::cause::{Cause, Work};
use crate::check::story::{QUEUES, Run, Span, Stories, Story};
use crate::record::{Fault, Settled};

/// How long after a theft a process may still take for its own what it has lost: a beat of its housekeeping, on a
/// machine that is busy.
const STEAL_US: i64 = 5_000_000;

/// How long an acknowledgement may take from its job's settlement until the broker has it, where it is not awaited: some
/// milliseconds until it is sent, and its way, on a machine that is busy.
const ACKNOWLEDGED_US: i64 = 1_000_000;

/// How long after the broker is well again its clients may still work on what they had been given before.
const NOTICED_US: i64 = 15_000_000;

/// What was done to a process, or to the broker.
pub(super) struct Harm<'a> {
    pub(super) kind: Fault,
    pub(super) victim: &'a str,
    pub(super) from: i64,
    /// When the broker was well again; for a process, the same instant.
    pub(super) to: i64,
    /// Until when a job runs, of each queue, that somebody moved there whom it struck.
    pub(super) moved_until: [i64; QUEUES],
}

/// The copies of a job that the faults explain beyond the first.
pub(super) struct Copies(Vec<Copy>);

/// A copy: the first turn that it may have taken, since when it can have been there, and what made it, and when.
struct Copy {
    step: (u32, u32),
    since: i64,
    cause: Cause,
    fell: i64,
}

impl<'a> Harm<'a> {
    pub(super) fn new(kind: Fault, victim: &'a str, at: i64) -> Self {
        let to = if kind.is_of_broker() { i64::MAX } else { at };
        Self { kind, victim, from: at, to, moved_until: [0; QUEUES] }
    }

    pub(super) fn heal(&mut self, at: i64) {
        self.to = self.to.min(at).max(self.from);
    }

    /// True when a run that it cut off is explained to run once more, on a broker that settles and stores in one step.
    pub(super) fn cuts(&self, run: &Run<'_>) -> bool {
        let Span { process, from, to } = run.span;
        match self.kind {
            Fault::Kill | Fault::Blackout | Fault::Point => self.victim == process && run.settled.is_none(),
            Fault::Steal => {
                self.victim == process && from <= self.from + STEAL_US && to.is_none_or(|to| to > self.from)
            }
            _ => false,
        }
    }

    /// True when what a process had under way may not have reached the broker, or its answer not the process.
    pub(super) fn touches(&self, span: &Span<'_>) -> bool {
        let is_open = span.to.is_none_or(|to| to >= self.from - ACKNOWLEDGED_US);
        match self.kind {
            Fault::Kill | Fault::Blackout | Fault::Point => self.victim == span.process && is_open,
            Fault::Broker | Fault::Cut | Fault::Alarm => is_open && span.from <= self.to.saturating_add(NOTICED_US),
            Fault::Steal | Fault::Drain => false,
        }
    }

    /// True when it may take away what a client of such a broker has under way.
    fn is_harmful(&self) -> bool {
        !matches!(self.kind, Fault::Steal | Fault::Drain)
    }

    /// True when a run that it touches may run again. A broker that is short of something still takes acknowledgements.
    fn doubles(&self, run: &Run<'_>) -> bool {
        self.touches(&run.span) && !(self.kind == Fault::Alarm && run.settled == Some(Settled::Gone))
    }

    /// True when it may have struck whoever moved a job from the unrouted: one that was published before there was its queue,
    /// and so before anybody worked on its jobs.
    fn strikes_sweep(&self, publish: &Span<'_>, begun: i64) -> bool {
        let (from, to) = (self.from, self.to);
        self.is_harmful() && publish.from < begun && to >= publish.from && from <= begun.saturating_add(NOTICED_US)
    }

    /// When the last of those may have gone on whom it struck.
    pub(super) fn last(&self) -> i64 {
        self.to.saturating_add(NOTICED_US)
    }

    /// True when it may have struck whoever moved a job that waited to be due just then: any process that works. A job
    /// that went on waiting for longer than those that were in its queue by then was moved later, by somebody whom it did
    /// not strike. One that is moved may run before its mover has acknowledged it, and so before the fault.
    fn strikes_mover(&self, wait: &Span<'_>, queue: usize) -> bool {
        let (last, until) = (self.last(), self.moved_until[queue]);
        let is_begun = wait.from <= if self.kind.is_of_broker() { last } else { self.to };
        self.is_harmful() && is_begun && wait.to.is_none_or(|to| (self.from - ACKNOWLEDGED_US..=until).contains(&to))
    }
}

impl Copies {
    /// Finds those of a job on a broker that stores what follows first and settles then: a crash in between leaves both,
    /// and each goes on for all turns that remain.
    pub(super) fn of(job: &Story<'_>, stories: &Stories<'_>) -> Self {
        let first = (0, 1);
        let mut copies = Self(Vec::new());
        for harm in &stories.harms {
            let runs = job.runs.iter().filter(|run| harm.doubles(run));
            copies.add(harm, Work::Run, runs.map(|run| (run.step(), run.span)));
            let publish = job.publish.iter().filter(|publish| harm.touches(publish) && publish.is_open_at(harm.from));
            copies.add(harm, Work::Publish, publish.map(|publish| (first, *publish)));
            let redrives = job.redrives.iter().filter(|(_, span)| harm.touches(span));
            copies.add(harm, Work::Redrive, redrives.map(|(turn, span)| ((turn.sequence + 1, 1), *span)));
            let moved = moves(job).into_iter().filter(|(_, span)| harm.strikes_mover(span, job.queue()));
            copies.add(harm, Work::Move, moved);
            let unrouted = job.publish.iter().filter(|publish| harm.strikes_sweep(publish, stories.begun(job)));
            copies.add(harm, Work::Sweep, unrouted.map(|publish| (first, *publish)));
        }
        copies.add_of_leader(job, stories);
        copies
    }

    /// Each run of the leader may have stored this one, and twice where a fault took the answer away.
    fn add_of_leader(&mut self, job: &Story<'_>, stories: &Stories<'_>) {
        let Some(leader) = job.leader.and_then(|leader| stories.jobs.get(leader)) else { return };
        let doubled = leader.runs.iter().filter(|run| stories.harms.iter().any(|harm| harm.doubles(run)));
        for run in leader.runs.iter().skip(1).chain(doubled) {
            // The leader's own copies have a cause, too: the fault nearest before.
            let before = stories.harms.iter().filter(|harm| harm.is_harmful() && harm.from <= run.span.from);
            let after = stories.harms.iter().find(|harm| harm.doubles(run));
            if let Some(harm) = after.or(before.max_by_key(|harm| harm.from)) {
                self.add(harm, Work::Follow, std::iter::once(((0, 1), run.span)));
            }
        }
    }

    /// Returns how many there can have been of a turn at an instant.
    pub(super) fn count(&self, step: (u32, u32), at: i64) -> usize {
        self.0.iter().filter(|copy| copy.step <= step && copy.since < at).count()
    }

    /// Returns what most likely made those that took a turn, each once: the fault that fell last before they did.
    pub(super) fn causes(&self, step: (u32, u32), begun: &[i64]) -> Vec<Cause> {
        let mut left: Vec<&Copy> = self.0.iter().filter(|copy| copy.step <= step).collect();
        // Of two made by one fault, the one that is nearer to this turn.
        left.sort_by_key(|copy| (copy.fell, copy.step));
        let mut causes = Vec::new();
        for at in begun {
            let nearest = left.iter().rposition(|copy| copy.fell <= *at && copy.since < *at);
            if let Some(place) = nearest.or_else(|| left.iter().position(|copy| copy.since < *at)) {
                causes.push(left.remove(place).cause);
            }
        }
        causes
    }

    fn add<'a>(&mut self, harm: &Harm<'_>, work: Work, copies: impl Iterator<Item = ((u32, u32), Span<'a>)>) {
        let cause = Cause { fault: harm.kind, work };
        self.0.extend(copies.map(|(step, span)| Copy { step, since: span.from, cause, fell: harm.from }));
    }
}

/// Lists when the job waited to be due, each with the first turn that can have followed: from its publish, or from the
/// end of a run, until it ran again.
fn moves<'a>(job: &Story<'a>) -> Vec<((u32, u32), Span<'a>)> {
    let next = |step: (u32, u32), from: i64| {
        job.runs.iter().filter(|run| run.step() >= step && run.span.from >= from).map(|run| run.span.from).min()
    };
    let delayed = job.publish.filter(|_| job.is_delayed).into_iter();
    let mut moves: Vec<_> = delayed.map(|span| ((0, 1), Span { to: next((0, 1), span.from), ..span })).collect();
    for run in job.runs.iter().filter(|run| run.settled == Some(Settled::Back)) {
        let (step, from) = ((run.turn.sequence, run.turn.attempt + 1), run.span.to.unwrap_or(run.span.from));
        moves.push((step, Span { process: run.span.process, from, to: next(step, from) }));
    }
    moves
}
