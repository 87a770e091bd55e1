//! A world of its own for tests: a broker, jobs and pumps under a simulated clock, with everything that can go wrong.
//!
//! Time moves from event to event, so that years pass in a second. Every random choice comes from one seed.

mod broker;
mod pump;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::broker::amqp::wheel::geometry::Geometry;

use broker::{Broker, Message};
use pump::Pump;

/// A moment to begin at, in milliseconds since 1970; not the beginning of any slot.
const START: i64 = 1_790_000_123_456;

/// What goes wrong, as chances from 0 to 1, until [`Plan::calm_after`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Clocks of pumps and producers differ from the truth by at most this, to both sides.
    pub(crate) skew_ms: i64,
    /// A tick is followed by a pause of up to five minutes, in the midst of its looks.
    pub(crate) freeze: f64,
    /// A pump dies at a tick and begins anew.
    pub(crate) restart: f64,
    /// A look takes up to twenty seconds.
    pub(crate) slowness: f64,
    /// A publish is not confirmed.
    pub(crate) refusal: f64,
    /// A pump dies after a confirm, before its ack.
    pub(crate) tear: f64,
    /// A pump's clock is set, by up to half a minute.
    pub(crate) step: f64,
    /// All pumps are away for up to two days, at a tick.
    pub(crate) outage: f64,
}

/// How a pump is broken on purpose, to see that the tests would notice.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flaws {
    /// It publishes into the queue that it drains.
    pub(crate) is_republishing: bool,
    /// It takes the slot for the truth, and the job's due time for a hint.
    pub(crate) is_trusting: bool,
    /// It never sweeps.
    pub(crate) is_sweepless: bool,
    /// After a pause it looks at all slots that went by meanwhile, instead of sweeping.
    pub(crate) is_widening: bool,
}

/// What a simulation does.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) geometry: Geometry,
    pub(crate) pumps: usize,
    pub(crate) jobs: usize,
    /// The time over which jobs are published.
    pub(crate) span_ms: i64,
    pub(crate) delay_max_ms: i64,
    pub(crate) faults: Faults,
    pub(crate) flaws: Flaws,
    /// Faults happen up to this long after the beginning.
    pub(crate) calm_after_ms: i64,
    /// How long after the last job is due the simulation ends.
    pub(crate) patience_ms: i64,
    /// Pumps sleep while no slot has its turn. Makes years short; a pump takes it for a pause, and sweeps.
    pub(crate) is_leaping: bool,
}

/// What became of the jobs.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Jobs that never left the wheel.
    pub(crate) stuck: usize,
    /// Jobs that left before they were due by the clock of the pump that moved them.
    pub(crate) early: usize,
    /// Messages that left beyond one a job.
    pub(crate) duplicates: usize,
    /// Moves that a pump made, and lost before it could tell the broker.
    pub(crate) torn: usize,
    /// Publishes into the queue that was being drained.
    pub(crate) circles: usize,
    /// Publishes by pumps.
    pub(crate) publishes: usize,
    /// Hops of a message beyond those that its delay accounts for, at most.
    pub(crate) excess_hops: i64,
    /// Messages held back, though no publish was refused.
    pub(crate) held: usize,
    /// Drains that a sweep began.
    pub(crate) rescues: usize,
    /// How late the latest job left, by the true time.
    pub(crate) late_ms: i64,
    /// How late the latest of those left that were due when all had been calm for two minutes.
    pub(crate) late_calm_ms: i64,
    /// True when it was ended for its number of publishes.
    pub(crate) is_endless: bool,
}

#[derive(Debug)]
struct Job {
    due: i64,
    hops_due: i64,
    departures: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Publish { job: usize, skew: i64 },
    Act { pump: usize },
}

/// The world at a moment.
pub(crate) struct World {
    plan: Plan,
    random: fastrand::Rng,
    now: i64,
    events: BinaryHeap<Reverse<(i64, usize, Event)>>,
    sequence: usize,
    /// When jobs are yet to be published, the latest first.
    moments: Vec<i64>,
    broker: Broker,
    pumps: Vec<Pump>,
    /// No pump reaches the broker before.
    away_until: i64,
    jobs: Vec<Job>,
    /// Jobs that have not left the wheel.
    waiting: usize,
    outcome: Outcome,
}

impl World {
    /// Runs a simulation to its end.
    pub(crate) fn run(plan: Plan) -> Outcome {
        let mut world = Self {
            random: fastrand::Rng::with_seed(plan.seed),
            now: START,
            events: BinaryHeap::new(),
            sequence: 0,
            moments: Vec::new(),
            broker: Broker::default(),
            pumps: Vec::new(),
            away_until: 0,
            jobs: Vec::new(),
            waiting: plan.jobs,
            outcome: Outcome::default(),
            plan,
        };
        world.plan_jobs();
        world.plan_pumps();
        world.go_on();
        world.outcome.stuck = world.waiting;
        world.outcome.duplicates = world.jobs.iter().map(|job| job.departures.saturating_sub(1)).sum();
        world.outcome
    }

    /// Delays of all sizes: each power of two is as likely as the others.
    fn plan_jobs(&mut self) {
        let plan = self.plan.clone();
        let scales = plan.delay_max_ms.ilog2();
        // The latest come first, so that the next one can be taken off the end.
        let mut moments: Vec<i64> = (0..plan.jobs).map(|_| START + self.random.i64(0..plan.span_ms)).collect();
        moments.sort_unstable_by_key(|at| Reverse(*at));
        for (job, &at) in moments.iter().enumerate() {
            let skew = self.skew();
            let scale = self.random.u32(10..=scales);
            let delay = self.random.i64(1000..=plan.delay_max_ms.min(1 << (scale + 1)).max(1000));
            let top = plan.geometry.width(plan.geometry.levels - 1) * plan.geometry.horizon;
            let hops_due = i64::from(plan.geometry.levels - 1) + delay / top + 1;
            self.jobs.push(Job { due: at + skew + delay, hops_due, departures: 0 });
            self.schedule(at, Event::Publish { job, skew });
        }
        self.moments = moments;
    }

    fn plan_pumps(&mut self) {
        for pump in 0..self.plan.pumps {
            let skew = self.skew();
            self.pumps.push(Pump::new(self.plan.geometry, skew));
            let at = START + self.random.i64(0..1000);
            self.schedule(at, Event::Act { pump });
        }
    }

    fn go_on(&mut self) {
        let last_due = self.jobs.iter().map(|job| job.due).max().expect("a plan has jobs");
        let end = last_due.max(START + self.plan.calm_after_ms) + self.plan.patience_ms;
        let publishes_max = self.jobs.iter().map(|job| 20 + 10 * usize::try_from(job.hops_due).unwrap()).sum();
        while let Some(Reverse((at, _, event))) = self.events.pop() {
            self.outcome.is_endless = self.outcome.publishes > publishes_max;
            if at > end || self.outcome.is_endless || self.is_finished() {
                break;
            }
            self.now = at;
            match event {
                Event::Publish { job, skew } => {
                    self.moments.pop();
                    let slot = self.plan.geometry.place(self.jobs[job].due, self.now + skew);
                    self.broker.push(slot, Message { job, hops: 0 });
                }
                Event::Act { pump } => self.act(pump),
            }
        }
    }

    fn is_finished(&self) -> bool {
        self.waiting == 0 && self.broker.is_empty() && self.pumps.iter().all(Pump::is_idle)
    }

    fn schedule(&mut self, at: i64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse((at, self.sequence, event)));
    }

    fn skew(&mut self) -> i64 {
        let most = self.plan.faults.skew_ms;
        self.random.i64(-most..=most)
    }

    /// True with this chance, while faults happen.
    fn strikes(&mut self, chance: f64) -> bool {
        self.calms_in() > 0 && self.random.f64() < chance
    }

    /// Returns how long faults still happen.
    fn calms_in(&self) -> i64 {
        START + self.plan.calm_after_ms - self.now
    }
}
