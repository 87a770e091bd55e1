//! The director of the events' run: starts tellers and listeners, harms them and the broker, and brings the run to its end.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use job_core::clock::Clock;
use job_core::{BoxError, Client};
use job_worker::apply_topology;

use crate::broker::{Blow, BrokerKind};
use crate::events::listen::{self, GROUPS, Group};
use crate::events::verdict::{Calm, Report, check};
use crate::plan::Flags;
use crate::process::{Process, Start};
use crate::record::{Book, DIRECTOR, Event, Fault, read_folder, variable};

const TELLERS: u32 = 2;
const LISTENERS_PER_GROUP: usize = 2;

/// Events a second of each teller: what the listeners can do on a machine that does other things, too.
const RATE: f64 = 15.0;

const KILL_EVERY: Duration = Duration::from_secs(3);
const BLOW_EVERY: Duration = Duration::from_secs(25);

/// How long nothing is harmed, and the slow group is stopped; and how long before that nothing is harmed any more.
const CALM: Duration = Duration::from_secs(20);
const BEFORE_CALM: Duration = Duration::from_secs(10);

/// How long a process may take to stop, and the whole to hear what was stored after the last fault.
const STOP_PATIENCE: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(180);

const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What one process is there for.
#[derive(Clone, Copy)]
enum Part {
    Teller(u32),
    Listener(Group),
}

struct Seat {
    part: Part,
    process: Option<Process>,
}

/// A run under way.
pub(super) struct Stage {
    broker: BrokerKind,
    folder: PathBuf,
    url: String,
    mutant: Option<&'static str>,
    clock: Clock,
    random: fastrand::Rng,
    book: Book,
    seats: Vec<Seat>,
    started: BTreeMap<String, usize>,
}

impl Stage {
    /// Runs for so many minutes, and returns what the histories show. Those of a sound run are removed.
    pub(super) async fn run(flags: &Flags, minutes: f64, mutant: Option<&'static str>) -> Result<Report, BoxError> {
        let name = format!("events-{}-{}", flags.seed, std::process::id());
        fs::create_dir_all(flags.folder.join(&name))?;
        let folder = flags.folder.join(name).canonicalize()?;
        let mut stage = Self {
            broker: flags.broker,
            url: flags.broker.start(&folder)?,
            mutant,
            clock: Clock::system(),
            random: fastrand::Rng::with_seed(flags.seed),
            book: Book::open(&variable(&folder, DIRECTOR).1)?,
            seats: Vec::new(),
            started: BTreeMap::new(),
            folder: folder.clone(),
        };
        let calm = stage.direct(Duration::from_secs_f64(minutes * 60.0)).await;
        let calm = calm.inspect_err(|error| stage.book.note(Event::Void { reason: error.to_string() })).ok();
        drop(stage);
        flags.broker.stop(&folder)?;
        let report = check(&read_folder(&folder)?, calm);
        if report.void.is_empty() && report.violations().next().is_none() {
            fs::remove_dir_all(&folder)?;
        } else {
            eprintln!("the histories and logs are in {}", folder.display());
        }
        Ok(report)
    }

    async fn direct(&mut self, duration: Duration) -> Result<Calm, BoxError> {
        // Bound before anything is published: what is not is not heard.
        let client = Client::connect(&self.url).await?;
        apply_topology(&client).await?;
        client.close().await?;
        self.clock.sleep(self.broker.growth()).await;
        self.seats = (0..TELLERS).map(|n| Part::Teller(n).seat()).collect();
        for group in GROUPS {
            self.seats.extend((0..LISTENERS_PER_GROUP).map(|_| Part::Listener(group).seat()));
        }
        self.fill()?;
        let half = duration / 2;
        self.harm(half).await?;
        let calm = self.keep_calm().await?;
        self.harm(half.saturating_sub(CALM + BEFORE_CALM)).await?;
        self.finish().await?;
        Ok(calm)
    }

    /// Kills processes and harms the broker for a while.
    async fn harm(&mut self, duration: Duration) -> Result<(), BoxError> {
        let begun = self.clock.monotonic();
        let (mut next_kill, mut next_blow, mut blows) = (begun + KILL_EVERY, begun + BLOW_EVERY, 0);
        while self.clock.monotonic() - begun < duration {
            self.look()?;
            if self.is_due(&mut next_kill, KILL_EVERY) {
                self.kill()?;
            }
            if self.broker == BrokerKind::Rabbitmq && self.is_due(&mut next_blow, BLOW_EVERY) {
                let blow = if blows % 2 == 0 { Blow::Kill } else { Blow::Cut };
                blows += 1;
                self.book.note(Event::Fault { kind: blow.fault(), victim: "broker".into() });
                self.broker.strike(&self.folder, blow)?;
                self.broker.heal(&self.folder, blow)?;
                self.book.note(Event::Healed);
            }
            self.clock.sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn is_due(&self, next: &mut Instant, every: Duration) -> bool {
        let now = self.clock.monotonic();
        let is_due = now >= *next;
        if is_due {
            *next = now + every;
        }
        is_due
    }

    fn kill(&mut self) -> Result<(), BoxError> {
        let seat = self.random.usize(0..self.seats.len());
        if let Some(mut process) = self.seats[seat].process.take() {
            process.kill()?;
            self.book.note(Event::Fault { kind: Fault::Kill, victim: process.name.clone() });
        }
        Ok(self.fill()?)
    }

    /// Harms nobody, and stops the slow group for a while.
    async fn keep_calm(&mut self) -> Result<Calm, BoxError> {
        self.clock.sleep(BEFORE_CALM).await;
        let stopped = GROUPS[GROUPS.len() - 1];
        self.stop(|part| matches!(part, Part::Listener(group) if group == stopped)).await?;
        let begun = self.clock.now().timestamp_micros();
        self.clock.sleep(CALM).await;
        let ended = self.clock.now().timestamp_micros();
        self.look()?;
        self.fill()?;
        Ok(Calm { begun, ended })
    }

    /// Ends the publishing, and waits until all that was stored was heard, or nothing more comes.
    async fn finish(&mut self) -> Result<(), BoxError> {
        fs::write(self.enough(), "")?;
        for seat in self.seats.iter_mut().filter(|seat| matches!(seat.part, Part::Teller(_))) {
            let Some(mut process) = seat.process.take() else { continue };
            let status = process.wait(STOP_PATIENCE).await?;
            if !status.is_some_and(|status| status.success()) {
                self.book.note(Event::Died { victim: process.name.clone(), status: format!("{status:?}") });
            }
        }
        let begun = self.clock.monotonic();
        while !check(&read_folder(&self.folder)?, None).missing.is_empty() {
            self.look()?;
            if self.clock.monotonic() - begun > PATIENCE {
                break;
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
        self.stop(|_| true).await
    }

    async fn stop(&mut self, is_meant: impl Fn(Part) -> bool) -> Result<(), BoxError> {
        let meant = |seat: &&mut Seat| is_meant(seat.part) && seat.process.is_some();
        let mut stopping: Vec<Process> =
            self.seats.iter_mut().filter(meant).filter_map(|seat| seat.process.take()).collect();
        stopping.iter().try_for_each(Process::terminate)?;
        for process in &mut stopping {
            let status = process.wait(STOP_PATIENCE).await?;
            if !status.is_some_and(|status| status.success()) {
                self.book.note(Event::Died { victim: process.name.clone(), status: format!("{status:?}") });
            }
        }
        Ok(())
    }

    /// Looks for processes that ended by themselves: none may.
    fn look(&mut self) -> Result<(), BoxError> {
        for seat in &mut self.seats {
            if let Some(process) = &mut seat.process
                && let Some(status) = process.ended()?
            {
                self.book.note(Event::Died { victim: process.name.clone(), status: status.to_string() });
                seat.process = None;
            }
        }
        Ok(())
    }

    /// Starts a process for each empty seat.
    fn fill(&mut self) -> io::Result<()> {
        for seat in 0..self.seats.len() {
            if self.seats[seat].process.is_none() {
                self.seats[seat].process = Some(self.start(self.seats[seat].part)?);
            }
        }
        Ok(())
    }

    fn start(&mut self, part: Part) -> io::Result<Process> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let mut variables = vec![("RUST_BACKTRACE", "1".to_owned())];
        let (name, args) = match part {
            Part::Teller(source) => {
                let (source, rate, enough) =
                    (source.to_string(), RATE.to_string(), self.enough().display().to_string());
                let args = words(&["tell", "--source", &source, "--rate", &rate, "--enough", &enough]);
                ("teller", args)
            }
            Part::Listener(group) => {
                variables.push(listen::variable());
                variables.extend(self.mutant.map(|mutant| ("JOB_MUTANT", mutant.to_owned())));
                let args = ["run", "--log", "error", "--grace", "10s", "--concurrency", "8", "--queues", group.queue];
                (group.name, words(&args))
            }
        };
        let count = self.started.entry(name.to_owned()).or_default();
        *count += 1;
        Process::start(Start { name: format!("{name}-{count}"), folder: &self.folder, url: &self.url, args, variables })
    }

    fn enough(&self) -> PathBuf {
        self.folder.join("enough")
    }
}

impl Part {
    fn seat(self) -> Seat {
        Seat { part: self, process: None }
    }
}
