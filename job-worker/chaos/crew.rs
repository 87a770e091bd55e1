//! The processes of a run: which there are, under which names, and what each is started with.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use crate::plan::Plan;
use crate::point::{Point, Reach};
use crate::process::{Process, Role, Start};

/// Who works, by role.
const CREW: [(Role, u64); 4] = [(Role::Worker, 3), (Role::Relay, 1), (Role::Operator, 1), (Role::Producer, 2)];

const PRODUCERS: u64 = 2;

/// Jobs that a worker runs at once. One that is to die with claimed jobs in its hands has a single slot.
const CONCURRENCY: &str = "8";

/// The name of the file that tells the producers that it is enough.
const ENOUGH: &str = "enough";

/// How far the orders of a producer at a fail point are from those of the others.
const STRIDE: u64 = 1_000_000_000;

/// All processes of a run.
pub(crate) struct Crew<'a> {
    plan: &'a Plan,
    url: String,
    pub(crate) seats: Vec<Seat>,
    /// How many processes each role has had.
    count: HashMap<Role, u64>,
    /// Orders that were made, by producer.
    pub(crate) made: HashMap<u64, u64>,
}

/// A place that is always taken, by one process after the other.
pub(crate) struct Seat {
    pub(crate) role: Role,
    index: u64,
    pub(crate) process: Option<Process>,
}

impl<'a> Crew<'a> {
    pub(crate) fn new(plan: &'a Plan) -> io::Result<Self> {
        let seat = |(role, count): (Role, u64)| (0..count).map(move |index| Seat { role, index, process: None });
        let url = plan.broker.start(&plan.folder)?;
        let seats = CREW.into_iter().flat_map(seat).collect();
        Ok(Self { plan, url, seats, count: HashMap::new(), made: HashMap::new() })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn folder(&self) -> &'a Path {
        &self.plan.folder
    }

    pub(crate) fn enough(&self) -> PathBuf {
        self.plan.folder.join(ENOUGH)
    }

    /// Returns the seats of a role.
    pub(crate) fn of(&self, role: Role) -> Vec<usize> {
        (0..self.seats.len()).filter(|seat| self.seats[*seat].role == role).collect()
    }

    /// True when the producer of a seat has published its share, and nobody needs more.
    pub(crate) fn is_over(&self, seat: usize) -> bool {
        let made = self.seats[seat].producer().and_then(|producer| self.made.get(&producer)).copied().unwrap_or(0);
        made >= self.share() && self.enough().exists()
    }

    fn share(&self) -> u64 {
        self.plan.jobs.div_ceil(PRODUCERS)
    }

    /// Starts a process for a seat that is empty.
    pub(crate) fn fill(&mut self, seat: usize) -> io::Result<()> {
        let Seat { role, index, .. } = self.seats[seat];
        let args = match role {
            Role::Worker => self.worker(CONCURRENCY),
            Role::Relay => vec!["relay".into()],
            Role::Operator => vec!["operate".into()],
            Role::Producer => self.producer(index, PRODUCERS, self.made.get(&index).copied().unwrap_or(0)),
        };
        self.seats[seat].process = Some(self.start(role, args, Vec::new())?);
        Ok(())
    }

    /// Starts a process that will die at a fail point.
    pub(crate) fn start_armed(&mut self, point: Point) -> io::Result<Process> {
        let count = if let Reach::Working(count) = point.reach { count } else { 1 };
        let args = match point.role {
            Role::Worker if point.needs_backlog() => self.worker("1"),
            Role::Worker => self.worker(CONCURRENCY),
            Role::Relay => vec!["relay".into()],
            Role::Operator => vec!["operate".into()],
            Role::Producer => {
                let number = self.count.get(&Role::Producer).copied().unwrap_or(0);
                self.producer(STRIDE * (number + 1), 1, 0)
            }
        };
        self.start(point.role, args, vec![("JOB_FAILPOINT", format!("{}:{count}", point.name))])
    }

    fn worker(&self, concurrency: &str) -> Vec<String> {
        // No job takes longer than a tenth of a second, unless it is stretched: what needs the grace is a mutant.
        let is_long = self.plan.mutant.is_none() || self.plan.stretch > 1;
        let grace = if is_long { "10s" } else { "1s" };
        ["run", "--log", "error", "--grace", grace, "--concurrency", concurrency, "--queues", "chores,repairs"]
            .map(str::to_owned)
            .to_vec()
    }

    fn start(
        &mut self,
        role: Role,
        args: Vec<String>,
        mut variables: Vec<(&'static str, String)>,
    ) -> io::Result<Process> {
        let count = self.count.entry(role).or_default();
        *count += 1;
        variables.extend(self.plan.mutant.map(|mutant| ("JOB_MUTANT", mutant.to_owned())));
        variables.push(("RUST_BACKTRACE", "1".into()));
        let name = format!("{}-{count}", role.name());
        Process::start(Start { name, folder: &self.plan.folder, url: &self.url, args, variables })
    }

    #[allow(clippy::cast_precision_loss, reason = "jobs are few")]
    fn producer(&self, index: u64, step: u64, made: u64) -> Vec<String> {
        let share = self.share();
        let rate = share as f64 / self.plan.duration.as_secs_f64();
        let flags = [
            ("seed", self.plan.seed.to_string()),
            ("first", (index + made * step).to_string()),
            ("step", step.to_string()),
            ("count", share.saturating_sub(made).to_string()),
            ("rate", rate.to_string()),
            ("stretch", self.plan.stretch.to_string()),
            ("enough", self.enough().display().to_string()),
        ];
        let flags = flags.into_iter().flat_map(|(name, value)| [format!("--{name}"), value]);
        std::iter::once("produce".to_owned()).chain(flags).collect()
    }
}

impl Seat {
    /// Returns the number of a producer.
    pub(crate) fn producer(&self) -> Option<u64> {
        (self.role == Role::Producer).then_some(self.index)
    }
}
