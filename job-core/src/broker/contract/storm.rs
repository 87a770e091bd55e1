//! One long case: random steps of several processes, among them deaths, beside a model that knows where each job is.
//!
//! What is found here deserves a case of its own. The steps are printed, and a failing test shows them.

use std::collections::BTreeMap;

use crate::broker::contract::bench::Bench;
use crate::broker::contract::fixture::Process;
use crate::broker::contract::message::mail;
use crate::broker::contract::reader::settle;
use crate::broker::contract::wait::eventually;
use crate::broker::{Delivery, Outcome, Outgoing};
use crate::clock::{Timestamp, later};
use crate::envelope::{DeathReason, Envelope};
use crate::name::JobId;

const PROCESSES: usize = 3;
const STEPS: usize = 400;
const SEEDS: [u64; 2] = [1, 2];

/// What the store must hold, and what the processes have in hand.
struct Storm<'a> {
    bench: &'a Bench,
    random: fastrand::Rng,
    processes: Vec<Process>,
    /// By owner.
    hands: Vec<(usize, Delivery)>,
    /// What processes had in hand when they died.
    ghosts: Vec<Delivery>,
    waiting: BTreeMap<JobId, (Envelope, Timestamp)>,
    dead: Vec<Envelope>,
}

pub(super) async fn a_storm_loses_nothing_and_finishes_nothing_twice(bench: Bench) {
    for seed in SEEDS {
        let mut storm = Storm::begin(&bench, seed).await;
        for number in 0..STEPS {
            let step = storm.random.u32(..100);
            eprintln!(
                "seed {seed}, step {number}: {step}, {} wait, {} in hand",
                storm.waiting.len(),
                storm.hands.len()
            );
            storm.step(step).await;
        }
        storm.end().await;
    }
}

impl<'a> Storm<'a> {
    async fn begin(bench: &'a Bench, seed: u64) -> Self {
        let mut processes = Vec::new();
        for _ in 0..PROCESSES {
            processes.push(bench.open_mail().await);
        }
        let random = fastrand::Rng::with_seed(seed);
        let (waiting, dead) = (BTreeMap::new(), Vec::new());
        Self { bench, random, processes, hands: Vec::new(), ghosts: Vec::new(), waiting, dead }
    }

    async fn step(&mut self, step: u32) {
        match step {
            0..30 => self.publish().await,
            30..60 => self.take().await,
            60..85 => self.settle().await,
            85..92 => self.settle_a_ghost().await,
            92..97 => self.bench.pass(self.bench.delay() / 2).await,
            _ => self.kill().await,
        }
    }

    async fn publish(&mut self) {
        let (envelope, due) = self.new_message();
        let process = self.random.usize(..PROCESSES);
        self.processes[process].send(&mail(), &envelope).await;
        self.waiting.insert(envelope.id.clone(), (envelope, due));
    }

    async fn take(&mut self) {
        let now = self.processes[0].now();
        if !self.waiting.values().any(|(_, due)| *due <= now) {
            return;
        }
        let owner = self.random.usize(..PROCESSES);
        let mut reader = self.processes[owner].read_mail().await;
        let delivery = reader.one().await;
        reader.close().await;
        let expected = self.waiting.remove(&delivery.envelope.id);
        let (envelope, due) = expected.unwrap_or_else(|| panic!("{delivery:?} came, which does not wait"));
        assert_eq!(delivery.envelope, envelope);
        assert!(due <= now, "{delivery:?} came early, at {now}");
        self.hands.push((owner, delivery));
    }

    async fn settle(&mut self) {
        if self.hands.is_empty() {
            return;
        }
        let number = self.random.usize(..self.hands.len());
        let (_, delivery) = self.hands.swap_remove(number);
        let envelope = delivery.envelope.clone();
        let outcome = self.outcome(&envelope);
        settle(delivery, outcome.clone()).await;
        let now = self.processes[0].now();
        match outcome {
            Outcome::Done { then } => {
                for Outgoing { envelope, .. } in then {
                    let due = envelope.not_before.unwrap_or(now);
                    self.waiting.insert(envelope.id.clone(), (envelope, due));
                }
            }
            Outcome::Later { at, envelope } => _ = self.waiting.insert(envelope.id.clone(), (envelope, at)),
            Outcome::Dead { envelope } => self.dead.push(envelope),
            Outcome::Release => _ = self.waiting.insert(envelope.id.clone(), (envelope, now)),
        }
    }

    async fn settle_a_ghost(&mut self) {
        let Some(delivery) = self.ghosts.pop() else { return };
        let outcome = self.outcome(&delivery.envelope);
        let settled = eventually("settle", delivery.settle.settle(outcome)).await;
        assert!(settled.as_ref().is_err_and(|error| error.is_lost()), "a dead process settles: {settled:?}");
    }

    async fn kill(&mut self) {
        let victim = self.random.usize(..PROCESSES);
        let heir = self.bench.open_mail().await;
        let process = std::mem::replace(&mut self.processes[victim], heir);
        self.bench.kill(process).await;
        let now = self.processes[0].now();
        for (_, delivery) in self.hands.extract_if(.., |(owner, _)| *owner == victim) {
            self.waiting.insert(delivery.envelope.id.clone(), (delivery.envelope.clone(), now));
            self.ghosts.push(delivery);
        }
    }

    /// Ends all processes, and checks that a fresh one finds what the model says.
    async fn end(mut self) {
        for (_, delivery) in self.hands.drain(..) {
            let envelope = delivery.envelope.clone();
            settle(delivery, Outcome::Release).await;
            self.waiting.insert(envelope.id.clone(), (envelope, Timestamp::MIN_UTC));
        }
        for process in self.processes {
            process.close().await;
        }
        self.bench.pass(self.bench.delay()).await;
        let heir = self.bench.open().await;
        let waiting: Vec<_> = self.waiting.values().map(|(envelope, _)| envelope).collect();
        heir.read_mail().await.finish_exactly(&waiting).await;
        let dead: Vec<_> = self.dead.iter().collect();
        heir.read(&mail().dead()).await.finish_exactly(&dead).await;
        heir.close().await;
    }

    fn outcome(&mut self, envelope: &Envelope) -> Outcome {
        match self.random.u32(..6) {
            0 | 1 => Outcome::Done { then: Vec::new() },
            2 => Outcome::Done { then: vec![Outgoing::only(mail(), self.new_message().0)] },
            3 => {
                let at = self.instant();
                let attempt = envelope.attempt + 1;
                Outcome::Later { at, envelope: Envelope { attempt, not_before: Some(at), ..envelope.clone() } }
            }
            4 => {
                let mut envelope = envelope.clone();
                envelope.declare_dead(self.instant(), DeathReason::Attempts, "boom");
                Outcome::Dead { envelope }
            }
            _ => Outcome::Release,
        }
    }

    fn new_message(&mut self) -> (Envelope, Timestamp) {
        let mut envelope = self.processes[0].envelope("storm");
        let due = self.instant();
        envelope.not_before = self.random.bool().then_some(due);
        let due = envelope.not_before.unwrap_or(envelope.enqueued_at);
        (envelope, due)
    }

    /// Returns an instant between now and the delay.
    fn instant(&mut self) -> Timestamp {
        later(self.processes[0].now(), self.bench.delay() * self.random.u32(..=4) / 4)
    }
}
