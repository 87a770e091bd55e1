//! What a run is to do: how many jobs, and which faults in which order.

use std::path::PathBuf;
use std::time::Duration;

use job_core::BoxError;

use crate::broker::{Blow, BrokerKind};
use crate::point::{Point, Reach, points};
use crate::process::Role;

/// Kills for each theft.
const KILLS_PER_STEAL: usize = 10;

/// Jobs a second at the most: what the workers can do on a machine that does other things too.
const RATE_MAX: f64 = 400.0;

/// The time that a fault takes at least, the restart of its victim counted.
const STEP: Duration = Duration::from_millis(600);

/// What falls in a minute, in a run that is told how long it is to last: kills of processes and of the broker, and cuts of
/// all connections. Beside them, the broker is short of memory once, and of disk.
const KILLS_PER_MINUTE: f64 = 8.0;
const BROKER_KILLS_PER_MINUTE: f64 = 1.2;
const CUTS_PER_MINUTE: f64 = 0.6;

/// Jobs of a run that is not told how many, or how long it is to last.
const JOBS: u64 = 2000;

/// Jobs a second, in such a run.
const RATE: f64 = 100.0;

/// From this many kills on, a run visits all fail points too.
const KILLS_WITH_POINTS: usize = 10;

/// What can be asked for on the command line.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Flags {
    /// The broker to try
    #[arg(value_enum)]
    pub(crate) broker: BrokerKind,
    /// How long to publish, with kills, kills of the broker, cuts and alarms (RabbitMQ)
    #[arg(long)]
    pub(crate) minutes: Option<f64>,
    /// How many processes to kill [default: 8 a minute, or none]
    #[arg(long)]
    pub(crate) kills: Option<usize>,
    /// How many jobs to publish at least [default: 100 a second, or 2000]
    #[arg(long)]
    pub(crate) jobs: Option<u64>,
    /// How often to tell a worker to stop
    #[arg(long, default_value_t = 0)]
    pub(crate) drains: usize,
    /// How often to have a living worker taken for dead [default: one for ten kills]
    #[arg(long)]
    pub(crate) steals: Option<usize>,
    /// Have a process die at every fail point, as ten kills or more do
    #[arg(long)]
    pub(crate) points: bool,
    /// What the run's choices follow from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Break one promise after the other, and require that each is seen
    #[arg(long)]
    pub(crate) mutants: bool,
    /// Break only this one
    #[arg(long, requires = "mutants")]
    pub(crate) mutant: Option<String>,
    /// Publish events to three groups of listeners instead of jobs; with --mutants, the control alone
    #[arg(long)]
    pub(crate) events: bool,
    /// Where runs keep their files
    #[arg(long, default_value = "target/chaos")]
    pub(crate) folder: PathBuf,
}

/// A run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) broker: BrokerKind,
    pub(crate) jobs: u64,
    /// How long the producers take for their jobs: long enough for all faults to fall among them.
    pub(crate) duration: Duration,
    pub(crate) seed: u64,
    pub(crate) folder: PathBuf,
    pub(crate) steps: Vec<Step>,
    /// Fail points of those who come before all others.
    pub(crate) openings: Vec<Point>,
    /// Fail points of those who are alone among the dead.
    pub(crate) burials: Vec<Point>,
    /// How long the jobs may take to reach their ends once nobody is harmed any more.
    pub(crate) patience: Duration,
    /// How much longer each job takes than its script says.
    pub(crate) stretch: u32,
    /// The mutant that all processes are.
    pub(crate) mutant: Option<&'static str>,
}

/// What is done to a process, or to the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Strike(Blow),
    Kill(Role),
    Steal,
    Drain,
    Die(Point),
}

impl Step {
    /// Returns how long it takes at least.
    fn duration(self) -> Duration {
        match self {
            Self::Strike(blow) => blow.duration().max(blow.recovery()),
            _ => Duration::ZERO,
        }
    }
}

impl Plan {
    /// Returns when each step is to be taken: the time that they do not take themselves is spread evenly between them.
    pub(crate) fn schedule(&self) -> Vec<Duration> {
        let taken: Duration = self.steps.iter().map(|step| step.duration()).sum();
        let pauses = u32::try_from(self.steps.len()).unwrap_or(u32::MAX).saturating_add(1);
        let pause = self.duration.saturating_sub(taken) / pauses;
        let mut at = Duration::ZERO;
        let begin = |step: &Step| {
            let begun = at + pause;
            at = begun + step.duration();
            begun
        };
        self.steps.iter().map(begin).collect()
    }
}

impl Flags {
    /// Makes the plan of a run.
    pub(crate) fn plan(&self) -> Result<Plan, BoxError> {
        if self.minutes.is_some() && self.broker == BrokerKind::Sqlite {
            return Err("the embedded broker has no process to kill; say --kills N or --drains N".into());
        }
        let kills = self.kills.unwrap_or_else(|| self.number(KILLS_PER_MINUTE));
        let has_points = self.points || kills >= KILLS_WITH_POINTS;
        if kills + self.drains == 0 && !has_points {
            return Err(
                "a run without faults proves nothing; say --kills N, --drains N, --points or --minutes N".into()
            );
        }
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut steps: Vec<Step> = (0..kills).map(|_| Step::Kill(victim(&mut random))).collect();
        let steals = self.steals.unwrap_or(kills.div_ceil(KILLS_PER_STEAL));
        steps.extend((0..steals).filter(|_| self.broker == BrokerKind::Sqlite).map(|_| Step::Steal));
        steps.extend((0..self.drains).map(|_| Step::Drain));
        let points = points(self.broker).into_iter().filter(|_| has_points);
        let (openings, points): (Vec<Point>, Vec<Point>) = points.partition(|point| point.reach == Reach::Beginning);
        let (burials, points): (Vec<Point>, Vec<Point>) =
            points.into_iter().partition(|point| point.reach == Reach::Burying);
        steps.extend(points.into_iter().map(Step::Die));
        steps.extend(self.blows().into_iter().map(Step::Strike));
        random.shuffle(&mut steps);
        let jobs = self.jobs.unwrap_or_else(|| self.minutes.map_or(JOBS, |minutes| whole(minutes * 60.0 * RATE)));
        Ok(Plan {
            broker: self.broker,
            jobs,
            duration: self.duration(steps.len(), jobs),
            seed: self.seed,
            folder: self.folder.join(format!("run-{}-{}", self.seed, std::process::id())),
            steps,
            openings,
            burials,
            patience: Duration::from_secs(60 + jobs / 50),
            stretch: 1,
            mutant: None,
        })
    }

    /// Returns what is done to the broker itself.
    fn blows(&self) -> Vec<Blow> {
        if self.minutes.is_none() {
            return Vec::new();
        }
        let kills = (0..self.number(BROKER_KILLS_PER_MINUTE)).map(|_| Blow::Kill);
        let cuts = (0..self.number(CUTS_PER_MINUTE)).map(|_| Blow::Cut);
        kills.chain(cuts).chain([Blow::Memory, Blow::Disk]).collect()
    }

    fn number(&self, per_minute: f64) -> usize {
        usize::try_from(whole(self.minutes.unwrap_or_default() * per_minute)).unwrap_or(usize::MAX)
    }

    #[allow(clippy::cast_precision_loss, reason = "jobs and faults are few")]
    fn duration(&self, steps: usize, jobs: u64) -> Duration {
        let faults = STEP.mul_f64(steps as f64);
        let told = Duration::from_secs_f64(self.minutes.unwrap_or_default() * 60.0);
        told.max(faults).max(Duration::from_secs_f64(jobs as f64 / RATE_MAX))
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "minutes are few, and positive")]
fn whole(number: f64) -> u64 {
    number.ceil() as u64
}

fn victim(random: &mut fastrand::Rng) -> Role {
    match random.u8(0..10) {
        0 | 1 => Role::Producer,
        2 => Role::Relay,
        3 => Role::Operator,
        _ => Role::Worker,
    }
}
