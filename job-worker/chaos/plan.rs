//! What a run is to do: how many jobs, and which faults in which order.

use std::path::PathBuf;
use std::time::Duration;

use job_core::BoxError;

use crate::broker::BrokerKind;
use crate::point::{POINTS, Point, Reach};
use crate::process::Role;

/// Kills for each theft.
const KILLS_PER_STEAL: usize = 10;

/// Jobs a second at the most: what the workers can do on a machine that does other things too.
const RATE_MAX: f64 = 400.0;

/// The time that a fault takes at least, the restart of its victim counted.
const STEP: Duration = Duration::from_millis(600);

/// From this many kills on, a run visits all fail points too.
const KILLS_WITH_POINTS: usize = 10;

/// What can be asked for on the command line.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Flags {
    /// The broker to try
    #[arg(value_enum)]
    pub(crate) broker: BrokerKind,
    /// How many processes to kill
    #[arg(long, default_value_t = 0)]
    pub(crate) kills: usize,
    /// How many jobs to publish at least
    #[arg(long, default_value_t = 2000)]
    pub(crate) jobs: u64,
    /// How often to tell a worker to stop
    #[arg(long, default_value_t = 0)]
    pub(crate) drains: usize,
    /// How often to have a living worker taken for dead [default: one for ten kills]
    #[arg(long)]
    pub(crate) steals: Option<usize>,
    /// What the run's choices follow from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Break one promise after the other, and require that each is seen
    #[arg(long)]
    pub(crate) mutants: bool,
    /// Where runs keep their files
    #[arg(long, default_value = "target/chaos")]
    pub(crate) folder: PathBuf,
}

/// A run.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) broker: BrokerKind,
    pub(crate) jobs: u64,
    pub(crate) seed: u64,
    pub(crate) folder: PathBuf,
    pub(crate) steps: Vec<Step>,
    /// Fail points of those who are alone among the dead.
    pub(crate) burials: Vec<Point>,
    /// How long the jobs may take to reach their ends once nobody is harmed any more.
    pub(crate) patience: Duration,
    /// The mutant that all processes are.
    pub(crate) mutant: Option<&'static str>,
}

/// What is done to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Kill(Role),
    Steal,
    Drain,
    Die(Point),
}

impl Flags {
    /// Makes the plan of a run.
    pub(crate) fn plan(&self) -> Result<Plan, BoxError> {
        if self.kills + self.drains == 0 {
            return Err("a run without faults proves nothing; say --kills N or --drains N".into());
        }
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut steps: Vec<Step> = (0..self.kills).map(|_| Step::Kill(victim(&mut random))).collect();
        let steals = self.steals.unwrap_or(self.kills.div_ceil(KILLS_PER_STEAL));
        steps.extend((0..steals).map(|_| Step::Steal));
        steps.extend((0..self.drains).map(|_| Step::Drain));
        let has_points = self.kills >= KILLS_WITH_POINTS;
        let points = POINTS.into_iter().filter(|_| has_points);
        let (burials, points): (Vec<Point>, Vec<Point>) = points.partition(|point| point.reach == Reach::Burying);
        steps.extend(points.into_iter().map(Step::Die));
        random.shuffle(&mut steps);
        Ok(Plan {
            broker: self.broker,
            jobs: self.jobs,
            seed: self.seed,
            folder: self.folder.join(format!("run-{}-{}", self.seed, std::process::id())),
            steps,
            burials,
            patience: Duration::from_secs(60 + self.jobs / 50),
            mutant: None,
        })
    }
}

impl Plan {
    /// Returns how long the producers take for their jobs: long enough for all faults to fall among them.
    #[allow(clippy::cast_precision_loss, reason = "jobs and faults are few")]
    pub(crate) fn duration(&self) -> Duration {
        let faults = STEP.mul_f64(self.steps.len() as f64);
        faults.max(Duration::from_secs_f64(self.jobs as f64 / RATE_MAX))
    }
}

fn victim(random: &mut fastrand::Rng) -> Role {
    match random.u8(0..10) {
        0 | 1 => Role::Producer,
        2 => Role::Relay,
        _ => Role::Worker,
    }
}
