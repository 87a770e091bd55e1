//! The director: starts the others, harms them by the plan, brings the run to its end, and has it checked.

use std::fs;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use job_core::clock::Clock;
use job_core::{BoxError, Client};

use crate::broker::Blow;
use crate::check::{Report, check};
use crate::collect;
use crate::crew::Crew;
use crate::plan::{Plan, Step};
use crate::point::{Point, Reach};
use crate::process::{Process, Role};
use crate::record::{Book, DIRECTOR, Event, Fault, read_folder, variable};
use crate::tail::Tail;

const POLL: Duration = Duration::from_millis(1);

/// How long a victim is waited for that has unsettled work.
const VICTIM_PATIENCE: Duration = Duration::from_secs(10);

/// How long the first publishes may take.
const UNHEARD_PATIENCE: Duration = Duration::from_secs(30);

/// How long a process may take to stop: its grace, and what comes after.
const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// How long a process may take to die at a fail point, and how often it is tried.
const POINT_PATIENCE: Duration = Duration::from_secs(15);
const POINT_TRIES: usize = 6;

/// Processes that may end by themselves before the run is given up.
const DEATHS_MAX: usize = 20;

/// The signal by which a process dies at a fail point.
const SIGABRT: i32 = 6;

struct Director<'a> {
    plan: &'a Plan,
    crew: Crew<'a>,
    tail: Tail,
    book: Book,
    clock: Clock,
    random: fastrand::Rng,
    deaths: usize,
}

/// Runs a plan, and checks what happened.
pub(crate) async fn run(plan: &Plan) -> Result<Report, BoxError> {
    fs::create_dir_all(&plan.folder)?;
    let plan = &Plan { folder: plan.folder.canonicalize()?, ..plan.clone() };
    let mut director = Director::new(plan)?;
    director.book.note(Event::Terms { is_atomic: plan.broker.is_atomic() });
    if let Err(error) = director.direct().await {
        // What was written until then may show why.
        director.book.note(Event::Void { reason: error.to_string() });
    }
    // The others go first: who is left alone by its broker would say so.
    drop(director);
    plan.broker.stop(&plan.folder)?;
    Ok(check(&read_folder(&plan.folder)?))
}

/// Removes the files of a run that has shown what it should, and says where those of another one are.
pub(crate) fn tidy(plan: &Plan, outcome: ExitCode) -> io::Result<()> {
    if outcome == ExitCode::SUCCESS {
        return fs::remove_dir_all(&plan.folder);
    }
    eprintln!("the histories and logs are in {}", plan.folder.display());
    Ok(())
}

impl<'a> Director<'a> {
    fn new(plan: &'a Plan) -> io::Result<Self> {
        Ok(Self {
            plan,
            crew: Crew::new(plan)?,
            tail: Tail::new(plan.folder.clone()),
            book: Book::open(&variable(&plan.folder, DIRECTOR).1)?,
            clock: Clock::system(),
            random: fastrand::Rng::with_seed(plan.seed),
            deaths: 0,
        })
    }

    async fn direct(&mut self) -> Result<(), BoxError> {
        self.open(Role::Producer).await?;
        self.publish_unheard().await?;
        self.open(Role::Worker).await?;
        self.fill()?;
        self.clock.sleep(self.plan.broker.growth()).await;
        let begun = self.clock.monotonic();
        for (step, at) in self.plan.steps.iter().zip(self.plan.schedule()) {
            while self.clock.monotonic() - begun < at {
                self.clock.sleep(POLL).await;
            }
            self.take(*step).await?;
            self.inspect()?;
        }
        if !self.plan.burials.is_empty() {
            self.black_out().await?;
        }
        self.finish().await
    }

    /// Lets one after the other die who is the first of a role.
    async fn open(&mut self, role: Role) -> Result<(), BoxError> {
        for point in self.plan.openings.iter().filter(|point| point.role == role) {
            self.die(*point).await?;
        }
        Ok(())
    }

    /// Has jobs published before there is anybody whose queues would take them: they must be kept all the same.
    async fn publish_unheard(&mut self) -> Result<(), BoxError> {
        let begun = self.clock.monotonic();
        for seat in self.crew.of(Role::Producer) {
            self.crew.fill(seat)?;
            while let Some(process) = &self.crew.seats[seat].process {
                if self.tail.stored(&process.name)? > 0 {
                    break;
                }
                if self.clock.monotonic() - begun > UNHEARD_PATIENCE {
                    return Err("the producers cannot publish".into());
                }
                self.clock.sleep(POLL).await;
            }
        }
        Ok(())
    }

    async fn take(&mut self, step: Step) -> Result<(), BoxError> {
        match step {
            Step::Kill(role) => {
                let seat = self.victim(role).await?;
                self.kill(seat, Fault::Kill)
            }
            Step::Steal => self.steal().await,
            Step::Drain => self.drain().await,
            Step::Strike(blow) => self.strike(blow).await,
            Step::Die(point) => self.die(point).await,
        }
    }

    /// Looks for damage, and for processes that ended by themselves; each seat is taken afterwards.
    fn inspect(&mut self) -> Result<(), BoxError> {
        if let Some(detail) = self.plan.broker.damage(&self.plan.folder)? {
            self.book.note(Event::Damaged { detail });
        }
        for seat in 0..self.crew.seats.len() {
            let Some(process) = &mut self.crew.seats[seat].process else { continue };
            let Some(status) = process.ended()? else { continue };
            let victim = process.name.clone();
            if self.crew.seats[seat].role == Role::Producer && status.success() {
                // It has published its share, and was told that it is enough.
                self.vacate(seat)?;
                continue;
            }
            self.book.note(Event::Died { victim, status: status.to_string() });
            self.deaths += 1;
            if self.deaths > DEATHS_MAX {
                return Err("too many processes ended by themselves".into());
            }
            self.vacate(seat)?;
        }
        self.fill()
    }

    /// Waits until a process of a role has unsettled work.
    async fn victim(&mut self, role: Role) -> Result<usize, BoxError> {
        let seats = self.crew.of(role);
        let mut seat = seats[self.random.usize(0..seats.len())];
        let begun = self.clock.monotonic();
        while self.clock.monotonic() - begun < VICTIM_PATIENCE {
            for _ in 0..seats.len() {
                if self.unsettled(seat)? > 0 {
                    return Ok(seat);
                }
                seat = seats[(seats.iter().position(|s| *s == seat).unwrap_or(0) + 1) % seats.len()];
            }
            self.clock.sleep(POLL).await;
        }
        Ok(seat)
    }

    fn unsettled(&mut self, seat: usize) -> io::Result<usize> {
        match &self.crew.seats[seat].process {
            Some(process) => self.tail.unsettled(&process.name),
            None => Ok(0),
        }
    }

    fn kill(&mut self, seat: usize, kind: Fault) -> Result<(), BoxError> {
        if let Some(process) = &mut self.crew.seats[seat].process {
            process.kill()?;
            self.book.note(Event::Fault { kind, victim: process.name.clone() });
        }
        self.vacate(seat)?;
        if kind == Fault::Kill { Ok(self.crew.fill(seat)?) } else { Ok(()) }
    }

    async fn steal(&mut self) -> Result<(), BoxError> {
        let seat = self.victim(Role::Worker).await?;
        if let Some(process) = &self.crew.seats[seat].process {
            // Before the deed: what follows from it must not come first.
            self.book.note(Event::Fault { kind: Fault::Steal, victim: process.name.clone() });
            self.plan.broker.rob(process.id())?;
        }
        Ok(())
    }

    /// Harms the broker for a while. All its clients are victims.
    async fn strike(&mut self, blow: Blow) -> Result<(), BoxError> {
        let kind = blow.fault();
        // Before the deed: what follows from it must not come first.
        self.book.note(Event::Fault { kind, victim: "broker".into() });
        self.plan.broker.strike(&self.plan.folder, blow)?;
        if !blow.duration().is_zero() {
            self.clock.sleep(blow.duration() / 2).await;
            // One dies while what it wants to store is held up.
            let seat = self.victim(Role::Worker).await?;
            self.kill(seat, Fault::Kill)?;
            self.clock.sleep(blow.duration() / 2).await;
        }
        self.plan.broker.heal(&self.plan.folder, blow)?;
        self.book.note(Event::Healed);
        Ok(())
    }

    async fn drain(&mut self) -> Result<(), BoxError> {
        let seat = self.victim(Role::Worker).await?;
        if let Some(mut process) = self.crew.seats[seat].process.take() {
            self.book.note(Event::Fault { kind: Fault::Drain, victim: process.name.clone() });
            self.stop(&mut process).await?;
            self.tail.forget(&process.name);
        }
        Ok(self.crew.fill(seat)?)
    }

    /// Tells a process to stop, and requires that it does so in an orderly way.
    async fn stop(&self, process: &mut Process) -> Result<(), BoxError> {
        process.terminate()?;
        self.wait_stopped(process).await
    }

    async fn wait_stopped(&self, process: &mut Process) -> Result<(), BoxError> {
        let status = process.wait(STOP_PATIENCE).await?;
        if !status.is_some_and(|status| status.success()) {
            let status = status.map_or_else(|| "not within its grace".to_owned(), |status| status.to_string());
            self.book.note(Event::Died { victim: process.name.clone(), status });
        }
        Ok(())
    }

    async fn die(&mut self, point: Point) -> Result<(), BoxError> {
        // The other workers leave it that much.
        let needs_backlog = point.needs_backlog();
        if needs_backlog {
            self.signal_workers("TSTP")?;
        }
        let mut is_reached = false;
        for _ in 0..POINT_TRIES {
            let mut process = self.crew.start_armed(point)?;
            is_reached = self.reaches(&mut process, point).await?;
            if is_reached {
                break;
            }
        }
        if needs_backlog {
            self.signal_workers("CONT")?;
        }
        if !is_reached {
            self.book.note(Event::Void { reason: format!("nobody came to the fail point {point:?}") });
        }
        Ok(())
    }

    /// Makes the workers quiet, or lets them go on.
    fn signal_workers(&self, signal: &str) -> Result<(), BoxError> {
        let workers = self.crew.seats.iter().filter(|seat| seat.role == Role::Worker);
        for process in workers.filter_map(|seat| seat.process.as_ref()) {
            // One that has just ended is seen at the next inspection.
            process.signal(signal)?;
        }
        Ok(())
    }

    async fn reaches(&mut self, process: &mut Process, point: Point) -> Result<bool, BoxError> {
        let begun = self.clock.monotonic();
        let mut is_told = point.reach != Reach::Stopping;
        let status = loop {
            if let Some(status) = process.ended()? {
                break status;
            }
            if !is_told && self.tail.unsettled(&process.name)? > 0 {
                process.terminate()?;
                is_told = true;
            }
            if self.clock.monotonic() - begun > POINT_PATIENCE {
                break process.kill()?;
            }
            self.clock.sleep(POLL).await;
        };
        self.tail.forget(&process.name);
        let is_reached = std::os::unix::process::ExitStatusExt::signal(&status) == Some(SIGABRT);
        // One that was killed after all may have cut off runs, too.
        self.book.note(Event::Fault { kind: Fault::Point, victim: process.name.clone() });
        Ok(is_reached)
    }

    /// Kills all at once, and lets one after the other die over the remains.
    async fn black_out(&mut self) -> Result<(), BoxError> {
        for seat in 0..self.crew.seats.len() {
            self.kill(seat, Fault::Blackout)?;
        }
        for point in &self.plan.burials {
            self.die(*point).await?;
        }
        self.inspect()
    }

    /// Waits until all jobs have reached their ends, and writes down what is left.
    async fn finish(&mut self) -> Result<(), BoxError> {
        fs::write(self.crew.enough(), "")?;
        let client = Client::connect(self.crew.url()).await?;
        let left = self.await_ends(&client).await?;
        left.into_iter().for_each(|(queue, count)| self.book.note(Event::Left { queue, count }));
        self.stop_workers().await?;
        collect::note_dead(&client, self.plan, &self.book).await?;
        client.close().await?;
        if let Some(detail) = self.plan.broker.damage(self.crew.folder())? {
            self.book.note(Event::Damaged { detail });
        }
        Ok(())
    }

    /// Waits until nothing waits and nothing runs, and returns what does when the patience is over.
    async fn await_ends(&mut self, client: &Client) -> Result<Vec<(String, u64)>, BoxError> {
        let begun = self.clock.monotonic();
        let mut empty_since = None;
        loop {
            self.inspect()?;
            let has_producers = self.crew.seats.iter().any(|s| s.role == Role::Producer && s.process.is_some());
            let orders = || vec![("orders".to_owned(), 1)];
            let left = if has_producers { orders() } else { collect::waiting(client, self.plan).await? };
            let now = self.clock.monotonic();
            let since = *empty_since.get_or_insert(now);
            if !left.is_empty() {
                empty_since = None;
            } else if now - since >= self.plan.broker.count_age() {
                // What was counted while something still moved is not believed.
                return Ok(left);
            }
            if now - begun > self.plan.patience {
                return Ok(left);
            }
            self.clock.sleep(POLL * 100).await;
        }
    }

    /// Tells all workers to stop at once.
    async fn stop_workers(&mut self) -> Result<(), BoxError> {
        let seats = self.crew.of(Role::Worker);
        let mut workers: Vec<Process> = seats.iter().filter_map(|s| self.crew.seats[*s].process.take()).collect();
        workers.iter().try_for_each(Process::terminate)?;
        for worker in &mut workers {
            self.wait_stopped(worker).await?;
        }
        Ok(())
    }

    fn vacate(&mut self, seat: usize) -> Result<(), BoxError> {
        let Some(process) = self.crew.seats[seat].process.take() else { return Ok(()) };
        if let Some(producer) = self.crew.seats[seat].producer() {
            *self.crew.made.entry(producer).or_default() += self.tail.made(&process.name)?;
        }
        self.tail.forget(&process.name);
        Ok(())
    }

    /// Starts a process for each empty seat; none for a producer that was told that it is enough.
    fn fill(&mut self) -> Result<(), BoxError> {
        for seat in 0..self.crew.seats.len() {
            let is_over = self.crew.seats[seat].role == Role::Producer && self.crew.is_over(seat);
            if self.crew.seats[seat].process.is_none() && !is_over {
                self.crew.fill(seat)?;
            }
        }
        Ok(())
    }
}
