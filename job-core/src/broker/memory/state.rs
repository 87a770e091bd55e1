//! What the broker in memory keeps, and the rules by which it changes. Pure: nothing here waits, locks or asks the time.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::broker::{Entry, Fire, Outcome, Outgoing, Stored};
use crate::clock::Timestamp;
use crate::envelope::Envelope;
use crate::error::{Error, Result};
use crate::name::QueueName;
use crate::topology::{Binding, Lifetime, Topology};

use crate::broker::memory::queue::{Message, Queue};

/// Numbers the processes that share a store.
pub(super) type ProcessId = u64;

/// Fences a delivery: it settles as long as its token is among the claims.
pub(super) type Token = u64;

/// Everything that is stored.
#[derive(Default)]
pub(super) struct State {
    pub(super) queues: BTreeMap<QueueName, Queue>,
    pub(super) claims: HashMap<Token, Claim>,
    pub(super) ledger: BTreeMap<String, Entry>,
    /// Grows with each entry that won.
    pub(super) ledger_revision: u64,
    bindings: Vec<Binding>,
    processes: HashSet<ProcessId>,
    leaders: HashMap<String, Leader>,
    ticks: HashMap<String, Timestamp>,
    counter: u64,
}

/// One message in the hands of a process.
pub(super) struct Claim {
    pub(super) process: ProcessId,
    pub(super) queue: QueueName,
    pub(super) message: Message,
}

/// A message that was claimed, as it is handed out.
pub(super) struct Claimed {
    pub(super) token: Token,
    pub(super) envelope: Envelope,
    pub(super) redeliveries: u32,
}

struct Leader {
    process: ProcessId,
    token: Token,
}

impl State {
    /// Lets a new process in.
    pub(super) fn begin_process(&mut self) -> ProcessId {
        let process = self.next();
        self.processes.insert(process);
        process
    }

    /// Takes back all that a process had; its deliveries count as lost.
    pub(super) fn end_process(&mut self, process: ProcessId) {
        self.processes.remove(&process);
        self.leaders.retain(|_, leader| leader.process != process);
        let owned: Vec<QueueName> = self
            .queues
            .iter()
            .filter(|(_, queue)| queue.owner == Some(process))
            .map(|(name, _)| name.clone())
            .collect();
        owned.iter().for_each(|queue| self.undeclare(queue));
        for (_, mut claim) in self.claims.extract_if(|_, claim| claim.process == process).collect::<Vec<_>>() {
            claim.message.redeliveries += 1;
            self.give_back(claim);
        }
    }

    pub(super) fn is_alive(&self, process: ProcessId) -> bool {
        self.processes.contains(&process)
    }

    pub(super) fn declare(&mut self, topology: &Topology, process: ProcessId) -> Result<()> {
        for binding in &topology.bindings {
            binding.pattern.check()?;
        }
        for queue in &topology.queues {
            match queue.lifetime {
                Lifetime::Durable => self.declare_durable(&queue.name)?,
                Lifetime::Process => self.declare_of_process(&queue.name, process)?,
            }
        }
        for binding in &topology.bindings {
            if !topology.queues.iter().any(|queue| queue.name == binding.queue) {
                self.declare_durable(&binding.queue)?;
            }
            if !self.bindings.contains(binding) {
                self.bindings.push(binding.clone());
            }
        }
        Ok(())
    }

    fn declare_durable(&mut self, name: &QueueName) -> Result<()> {
        if self.queues.get(name).is_some_and(|queue| queue.owner.is_some()) {
            return Err(Error::invalid(format!(
                "queue \"{name}\" exists and goes with its process; it is not durable"
            )));
        }
        for name in [name.clone(), name.dead()] {
            self.queues.entry(name).or_default().is_declared = true;
        }
        Ok(())
    }

    fn declare_of_process(&mut self, name: &QueueName, process: ProcessId) -> Result<()> {
        let queue = self.queues.entry(name.clone()).or_insert_with(|| Queue::of_process(process));
        if queue.owner != Some(process) {
            return Err(Error::invalid(format!("queue \"{name}\" exists, and is not of this process")));
        }
        queue.is_declared = true;
        Ok(())
    }

    /// Forgets the bindings of a queue, and a queue of a process with all that it holds.
    pub(super) fn undeclare(&mut self, name: &QueueName) {
        self.bindings.retain(|binding| binding.queue != *name);
        let Some(queue) = self.queues.get_mut(name) else { return };
        queue.is_declared = false;
        if queue.owner.is_some() {
            self.queues.remove(name);
            self.claims.retain(|_, claim| claim.queue != *name);
        }
    }

    /// Checks that a process may consume a queue.
    pub(super) fn check_consumable(&self, queue: &QueueName, process: ProcessId) -> Result<()> {
        match self.queues.get(queue).filter(|queue| queue.is_declared) {
            None => Err(Error::invalid(format!(
                "queue \"{queue}\" is not declared; add it to the topology before consuming"
            ))),
            Some(Queue { owner: Some(owner), .. }) if *owner != process => {
                Err(Error::invalid(format!("queue \"{queue}\" belongs to another process")))
            }
            Some(_) => Ok(()),
        }
    }

    pub(super) fn publish(&mut self, message: Outgoing, now: Timestamp) -> Result<Stored> {
        let queues = self.route(&message)?;
        let copies = queues.into_iter().filter(|queue| self.store(queue, message.envelope.clone(), now)).count();
        Ok(Stored { copies: u32::try_from(copies).ok() })
    }

    /// Hands out up to `max` due messages.
    pub(super) fn claim_due(
        &mut self,
        process: ProcessId,
        queue: &QueueName,
        max: usize,
        now: Timestamp,
    ) -> Vec<Claimed> {
        let due = self.queues.get_mut(queue).map(|queue| queue.remove_due(max, now)).unwrap_or_default();
        self.claim(process, queue, due)
    }

    /// Hands out messages that were removed from a queue.
    pub(super) fn claim(&mut self, process: ProcessId, queue: &QueueName, messages: Vec<Message>) -> Vec<Claimed> {
        let mut claimed = Vec::with_capacity(messages.len());
        for message in messages {
            let token = self.next();
            claimed.push(Claimed { token, envelope: message.envelope.clone(), redeliveries: message.redeliveries });
            self.claims.insert(token, Claim { process, queue: queue.clone(), message });
        }
        claimed
    }

    pub(super) fn settle(&mut self, token: Token, outcome: Outcome, now: Timestamp) -> Result<()> {
        let claim = self.claims.remove(&token).ok_or_else(|| Error::lost("the delivery was given to somebody else"))?;
        if let Err(error) = self.check_followers(&outcome) {
            // Kept by nobody, the job would wait for this process to die.
            self.give_back(claim);
            return Err(error);
        }
        if outcome == Outcome::Release {
            self.give_back(claim);
            return Ok(());
        }
        self.forget(&claim.queue, &claim.message.envelope);
        let is_of_process = self.queues.get(&claim.queue).is_some_and(|queue| queue.owner.is_some());
        match outcome {
            Outcome::Later { .. } | Outcome::Dead { .. } if is_of_process => {}
            Outcome::Release => {}
            Outcome::Done { then } => {
                for follower in then {
                    self.publish(follower, now)?;
                }
            }
            Outcome::Later { at, mut envelope } => {
                envelope.not_before = Some(at);
                self.store(&claim.queue, envelope, now);
            }
            Outcome::Dead { envelope } => self.bury(&claim.queue.dead(), envelope, now),
        }
        Ok(())
    }

    /// Gives back a delivery that was not started; one that is somebody else's stays there.
    pub(super) fn release(&mut self, token: Token) {
        if let Some(claim) = self.claims.remove(&token) {
            self.give_back(claim);
        }
    }

    /// Makes a process the leader of a role, unless there is one.
    pub(super) fn lead(&mut self, process: ProcessId, role: &str) -> Option<Token> {
        if self.leaders.contains_key(role) {
            return None;
        }
        let token = self.next();
        self.leaders.insert(role.to_owned(), Leader { process, token });
        Some(token)
    }

    pub(super) fn is_leader(&self, role: &str, token: Token) -> bool {
        self.leaders.get(role).is_some_and(|leader| leader.token == token)
    }

    pub(super) fn resign(&mut self, role: &str, token: Token) {
        if self.is_leader(role, token) {
            self.leaders.remove(role);
        }
    }

    pub(super) fn fire(&mut self, schedule: &str, tick: Timestamp, message: Outgoing, now: Timestamp) -> Result<Fire> {
        if self.ticks.get(schedule).is_some_and(|last| tick <= *last) {
            return Ok(Fire::Stale);
        }
        self.publish(message, now)?;
        self.ticks.insert(schedule.to_owned(), tick);
        Ok(Fire::Fired)
    }

    pub(super) fn latest(&self, schedule: &str) -> Option<Timestamp> {
        self.ticks.get(schedule).copied()
    }

    pub(super) fn append(&mut self, entry: Entry) {
        let is_newer = self.ledger.get(&entry.key).is_none_or(|kept| entry.version > kept.version);
        if is_newer {
            // A removed key keeps its `null`, or an older entry would bring it back.
            self.ledger.insert(entry.key.clone(), entry);
            self.ledger_revision += 1;
        }
    }

    /// Returns the queues that a message reaches, each once.
    fn route(&self, message: &Outgoing) -> Result<Vec<QueueName>> {
        message.check()?;
        if let Some(queue) = message.target.queue() {
            return Ok(vec![queue.clone()]);
        }
        let headers = &message.envelope.details.headers;
        let matching = self.bindings.iter().filter(|binding| binding.pattern.matches(&message.target, headers));
        let mut queues: Vec<QueueName> = matching.map(|binding| binding.queue.clone()).collect();
        queues.sort();
        queues.dedup();
        message.check_reach(queues.len())?;
        Ok(queues)
    }

    fn check_followers(&self, outcome: &Outcome) -> Result<()> {
        match outcome {
            Outcome::Done { then } => then.iter().try_for_each(|follower| self.route(follower).map(drop)),
            Outcome::Later { .. } | Outcome::Dead { .. } | Outcome::Release => Ok(()),
        }
    }

    /// Stores a message unless its queue holds its id; says whether it did.
    fn store(&mut self, queue: &QueueName, envelope: Envelope, now: Timestamp) -> bool {
        let number = self.next();
        let message = Message::new(envelope, number, now);
        self.queues.entry(queue.clone()).or_default().store(message)
    }

    /// Keeps a dead message in place of one of the same id: whoever is about to redrive that one loses it, and not us.
    fn bury(&mut self, dead: &QueueName, envelope: Envelope, now: Timestamp) {
        self.claims.retain(|_, claim| claim.queue != *dead || claim.message.envelope.id != envelope.id);
        self.forget(dead, &envelope);
        self.store(dead, envelope, now);
    }

    fn forget(&mut self, queue: &QueueName, envelope: &Envelope) {
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.forget(&envelope.id);
        }
    }

    fn give_back(&mut self, claim: Claim) {
        self.queues.entry(claim.queue).or_default().give_back(claim.message);
    }

    fn next(&mut self) -> u64 {
        self.counter += 1;
        self.counter
    }
}
