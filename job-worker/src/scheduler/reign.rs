//! One leadership from its beginning to its end: reads the settings, fires what is due, and keeps the books.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use job_core::broker::{Fire, JobState, Leadership, Ledger, Outgoing};
use job_core::clock::{Timestamp, duration_until, later};
use job_core::error::{Error, Result};
use job_core::observation::{Observation, SkipReason};
use job_core::schedule::{Origin, Overlap, RunEntry, ScheduleKey};
use serde_json::{Value, to_value};

use crate::schedule::due::due;
use crate::schedule::plan::Plan;
use crate::scheduler::Scheduler;
use crate::scheduler::Settings;
use crate::scheduler::book::Book;

/// Looks at the clock at least this often: somebody may set it.
const LOOK_PERIOD: Duration = Duration::from_secs(5);

/// Waits this long before it tries again what nobody knows the fate of.
const AGAIN: Duration = Duration::from_secs(1);

/// One leadership.
pub(super) struct Reign<'a> {
    scheduler: &'a Scheduler,
    leadership: &'a dyn Leadership,
    ledger: &'a dyn Ledger,
    settings: Settings,
    books: BTreeMap<ScheduleKey, Book>,
    /// Schedules of clients that cannot be read, told once.
    unreadable: BTreeSet<ScheduleKey>,
}

/// What became of an attempt to fire.
enum Attempt {
    /// Its job is stored.
    Fired,
    /// It is dealt with: it was fired before, or never can be.
    Over,
    /// Nobody knows; the same again.
    Again,
}

impl<'a> Reign<'a> {
    pub(super) fn new(scheduler: &'a Scheduler, leadership: &'a dyn Leadership, ledger: &'a dyn Ledger) -> Self {
        let (settings, books, unreadable) = (Settings::default(), BTreeMap::new(), BTreeSet::new());
        Self { scheduler, leadership, ledger, settings, books, unreadable }
    }

    /// Leads; true when it ended because the worker drains.
    pub(super) async fn run(mut self) -> Result<bool> {
        self.settings = Settings::read(self.ledger).await?;
        self.announce().await?;
        let mut lost = self.leadership.lost();
        loop {
            let plans = self.plans();
            let next = match self.round(&plans).await {
                Ok(next) => next,
                Err(error) if error.is_lost() => return Ok(false),
                Err(error) => return Err(error),
            };
            tokio::select! {
                biased;
                () = self.scheduler.stop.wait_draining() => {
                    self.write_books(true).await?;
                    return Ok(true);
                }
                () = &mut lost => return Ok(false),
                changed = self.ledger.changed() => {
                    changed?;
                    self.settings = Settings::read(self.ledger).await?;
                }
                () = self.scheduler.clock.sleep_until(next) => {}
                // A wall clock that is set moves that instant, and tells nobody.
                () = self.scheduler.clock.sleep(LOOK_PERIOD) => {}
            }
        }
    }

    /// Writes down the schedules of this program's code, and takes back those that an older version had.
    async fn announce(&mut self) -> Result<()> {
        let scheduler = self.scheduler;
        let mine: BTreeSet<&ScheduleKey> = scheduler.plans.iter().map(|plan| &plan.key).collect();
        let gone: Vec<ScheduleKey> = self
            .settings
            .of(&scheduler.application, Origin::Code)
            .map(|(key, _)| key)
            .filter(|key| !mine.contains(key))
            .collect();
        for key in gone {
            self.write(key.entry(), Value::Null).await?;
        }
        for plan in &scheduler.plans {
            self.write(plan.key.entry(), json(&plan.entry)?).await?;
        }
        Ok(())
    }

    /// Returns all schedules in the order of their names: those of the code win over others of their names.
    fn plans(&mut self) -> Vec<Plan> {
        let scheduler = self.scheduler;
        let mut plans = scheduler.plans.clone();
        let clients: Vec<_> = self.settings.of(&scheduler.application, Origin::Client).collect();
        for (key, entry) in clients {
            if scheduler.plans.iter().any(|plan| plan.key == key) {
                continue;
            }
            match Plan::of_client(key.clone(), entry) {
                Ok(plan) => plans.push(plan),
                Err(error) => {
                    if self.unreadable.insert(key.clone()) {
                        self.tell(&key, &error);
                    }
                }
            }
        }
        plans.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        plans
    }

    /// Does what is due, and returns when something is due next.
    async fn round(&mut self, plans: &[Plan]) -> Result<Timestamp> {
        let mut next = Timestamp::MAX_UTC;
        for plan in plans {
            let now = self.scheduler.clock.now();
            next = next.min(self.run_asked_for(plan).await?);
            let paused = self.settings.pause(&plan.key);
            let recurrence = plan.recurrence.to_string();
            if !self.books.contains_key(&plan.key) {
                let mut book = Book::open(self.settings.tick(&plan.key), &recurrence, now);
                // Ticks are written down from time to time only: none that was fired since is missed.
                let latest = self.leadership.latest(&plan.key.to_string()).await?;
                latest.into_iter().for_each(|tick| book.deal_with(tick));
                self.books.insert(plan.key.clone(), book);
            }
            let book = self.book(&plan.key);
            book.follow(&recurrence, paused.as_ref(), now);
            if paused.is_some_and(|paused| paused.is_paused) {
                continue;
            }
            next = next.min(self.fire_due(plan, now).await?);
        }
        let keys: BTreeSet<&ScheduleKey> = plans.iter().map(|plan| &plan.key).collect();
        self.books.retain(|key, _| keys.contains(key));
        self.write_books(false).await?;
        Ok(next)
    }

    /// Fires the ticks of a schedule that are due, and returns when to look again.
    async fn fire_due(&mut self, plan: &Plan, now: Timestamp) -> Result<Timestamp> {
        let last = self.book(&plan.key).entry.last;
        let due = due(&plan.recurrence, plan.entry.schedule.missed, last, now);
        self.skip(&plan.key, &due.skip, SkipReason::Missed);
        for tick in due.fire {
            if self.is_overlapping(plan).await? {
                self.skip(&plan.key, &[tick], SkipReason::Overlap);
                continue;
            }
            let message = plan.tick(&self.scheduler.client, tick);
            match self.fire(&plan.key, &plan.key.to_string(), tick, message).await? {
                Attempt::Again => return Ok(self.soon()),
                Attempt::Fired => self.tell_ticked(&plan.key, tick),
                Attempt::Over => {}
            }
            self.book(&plan.key).note_fired(tick, plan.entry.schedule.overlap);
        }
        let last = self.book(&plan.key).entry.last;
        Ok(plan.recurrence.next_after(last).unwrap_or(Timestamp::MAX_UTC))
    }

    /// Passes ticks by that get no job.
    fn skip(&mut self, key: &ScheduleKey, ticks: &[Timestamp], reason: SkipReason) {
        let (count, Some(last)) = (ticks.len(), ticks.last()) else { return };
        self.book(key).deal_with(*last);
        let (application, schedule) = (key.application(), key.name());
        self.scheduler.observers.emit(&Observation::TicksSkipped { application, schedule, count, reason });
    }

    /// True while the job of the last tick that has one is stored and not dead.
    async fn is_overlapping(&mut self, plan: &Plan) -> Result<bool> {
        if plan.entry.schedule.overlap == Overlap::Allow {
            return Ok(false);
        }
        let client = &self.scheduler.client;
        let fired = self.books.get(&plan.key).and_then(|book| book.entry.fired);
        let (Some(fired), true) = (fired, client.broker().capabilities().can_find) else {
            return Ok(false);
        };
        let state = client.state(&plan.key.tick_id(fired)).await?;
        Ok(state.is_some_and(|state| state != JobState::Dead))
    }

    /// Does the runs that were asked for, and returns when to look again.
    async fn run_asked_for(&mut self, plan: &Plan) -> Result<Timestamp> {
        for run in self.settings.runs(&plan.key) {
            let ran = self.settings.ran(&plan.key);
            // Else a leader ended between the note and the removal.
            if ran.as_ref().is_none_or(|ran| ran.id != run.id) {
                // Behind the one before, whatever the clocks of those who asked show: what is not would be stale.
                let at = ran.map_or(run.at, |ran| run.at.max(later(ran.at, Duration::from_micros(1))));
                let message = plan.message(&self.scheduler.client, run.id.clone(), at);
                if let Attempt::Again = self.fire(&plan.key, &format!("run/{}", plan.key), at, message).await? {
                    return Ok(self.soon());
                }
                self.write(plan.key.ran(), json(&RunEntry { at, id: run.id.clone() })?).await?;
            }
            self.write(plan.key.run(&run.id), Value::Null).await?;
        }
        Ok(Timestamp::MAX_UTC)
    }

    /// Fires one message. One that cannot be made or stored is told of, and its tick is over: it would fail for ever.
    async fn fire(&self, key: &ScheduleKey, name: &str, tick: Timestamp, message: Result<Outgoing>) -> Result<Attempt> {
        let fired = match message {
            Ok(message) => {
                let fired = self.leadership.fire(name, tick, message.clone()).await;
                if let Ok(Fire::Fired) = fired {
                    self.tell_enqueued(&message);
                }
                fired
            }
            Err(error) => Err(error),
        };
        match fired {
            Ok(Fire::Fired) => Ok(Attempt::Fired),
            Ok(Fire::Stale) => Ok(Attempt::Over),
            Err(error) if error.is_unconfirmed() => Ok(Attempt::Again),
            Err(error) if error.is_invalid() || error.is_rejected() => {
                self.tell(key, &error);
                Ok(Attempt::Over)
            }
            Err(error) => Err(error),
        }
    }

    async fn write_books(&mut self, is_last: bool) -> Result<()> {
        let now = self.scheduler.clock.monotonic();
        let mut entries = Vec::new();
        for (key, book) in &mut self.books {
            if let Some(entry) = book.take_due(now, is_last) {
                entries.push((key.tick(), json(entry)?));
            }
        }
        for (key, value) in entries {
            self.write(key, value).await?;
        }
        Ok(())
    }

    async fn write(&mut self, key: String, value: Value) -> Result<()> {
        self.settings.write(self.ledger, &self.scheduler.clock, key, value).await
    }

    fn soon(&self) -> Timestamp {
        later(self.scheduler.clock.now(), AGAIN)
    }

    fn book(&mut self, key: &ScheduleKey) -> &mut Book {
        self.books.get_mut(key).expect("the round opened it")
    }

    fn tell_ticked(&self, key: &ScheduleKey, tick: Timestamp) {
        let lateness = duration_until(tick, self.scheduler.clock.now());
        let (application, schedule) = (key.application(), key.name());
        self.scheduler.observers.emit(&Observation::Ticked { application, schedule, tick, lateness });
    }

    fn tell_enqueued(&self, message: &Outgoing) {
        if let (Some(queue), Some(kind)) = (message.target.queue(), &message.envelope.kind) {
            self.scheduler.observers.emit(&Observation::Enqueued { queue, kind, id: &message.envelope.id });
        }
    }

    fn tell(&self, key: &ScheduleKey, error: &Error) {
        let (component, error) = (format!("schedule \"{key}\""), format!("{error:?}"));
        let failed = Observation::ComponentFailed { component: &component, error: &error, failures: 1 };
        self.scheduler.observers.emit(&failed);
    }
}

fn json(value: &impl serde::Serialize) -> Result<Value> {
    to_value(value).map_err(|e| Error::invalid("a setting cannot be written as JSON").caused_by(e))
}
