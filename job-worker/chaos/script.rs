//! What each job of a run does: a pure function of the run's seed and the job's number.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Attempts of a job.
pub(crate) const ATTEMPTS_MAX: u32 = 4;

const MILLISECONDS_MAX: u64 = 100;
const DELAY_MAX_MS: u64 = 1500;
const REVIVALS_MAX: u32 = 2;

/// What a job does, as it stands in its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Script {
    pub(crate) milliseconds: u64,
    /// It comes back so many times without using an attempt: by turns with a cursor and with a snooze.
    pub(crate) turns: u32,
    /// It fails in its first so many attempts.
    pub(crate) failures: u32,
    /// It gives up where it would have completed.
    pub(crate) discards: bool,
    /// So many times it dies and is redriven; in the life that follows it completes.
    pub(crate) revivals: u32,
}

/// What a job does in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Snooze,
    Continue,
    Fail,
    Discard,
    Complete,
}

/// How a job must end, if it was stored, and by which turns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expected {
    pub(crate) dies: bool,
    /// Turns before the one in which it is to end.
    pub(crate) turns: u32,
    /// The attempts of each of its lives; a new one begins when it is redriven.
    pub(crate) lives: Vec<u32>,
}

/// A job and the way in which it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) script: Script,
    pub(crate) delay: Option<Duration>,
    /// It is stored by another job's `then`.
    pub(crate) is_relayed: bool,
}

impl Script {
    /// Writes the payload in a way that no encoder would choose: bytes that were decoded and encoded again differ.
    pub(crate) fn payload(&self) -> String {
        let Self { milliseconds, turns, failures, discards, revivals } = self;
        format!(
            "{{ \"turns\":{turns},  \"milliseconds\": {milliseconds}, \"failures\":{failures},\"discards\" :{discards}, \
             \"revivals\" : {revivals}}}"
        )
    }

    /// Says what the job does when it runs under these numbers.
    pub(crate) fn answer(&self, sequence: u32, attempt: u32) -> Answer {
        if sequence < self.turns {
            return if sequence % 2 == 1 { Answer::Snooze } else { Answer::Continue };
        }
        // Each redrive is a sequence further.
        let is_healed = self.revivals > 0 && sequence - self.turns >= self.revivals;
        let failures = if is_healed { self.failures % ATTEMPTS_MAX } else { self.failures };
        match attempt <= failures {
            true => Answer::Fail,
            false if self.discards && !is_healed => Answer::Discard,
            false => Answer::Complete,
        }
    }

    pub(crate) fn expected(&self) -> Expected {
        let dies = self.discards || self.failures >= ATTEMPTS_MAX;
        let life = (self.failures + 1).min(ATTEMPTS_MAX);
        let mut lives: Vec<u32> = (0..self.revivals).map(|_| life).collect();
        lives.push(if self.revivals > 0 { self.failures % ATTEMPTS_MAX + 1 } else { life });
        Expected { dies: dies && self.revivals == 0, turns: self.turns, lives }
    }
}

impl Expected {
    /// Makes that of a job that completes in its first run.
    pub(crate) fn plain() -> Self {
        Self { dies: false, turns: 0, lives: vec![1] }
    }

    /// Lists the sequence and the attempt of each of its turns, in order.
    pub(crate) fn steps(&self) -> Vec<(u32, u32)> {
        let turns = (0..self.turns).map(|sequence| (sequence, 1));
        let lives = (self.turns..).zip(&self.lives);
        turns
            .chain(lives.flat_map(|(sequence, attempts)| (1..=*attempts).map(move |attempt| (sequence, attempt))))
            .collect()
    }
}

impl Order {
    /// Returns the order of this number.
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number);
        let mut one_in = |n: u32| random.u32(0..n) == 0;
        let (has_turns, fails, dies, discards) = (one_in(8), one_in(5), one_in(25), one_in(25));
        let (is_delayed, is_relayed, is_revived) = (one_in(6), one_in(10), one_in(2));
        let failures = match (dies, fails) {
            (true, _) => ATTEMPTS_MAX,
            (false, true) => random.u32(1..ATTEMPTS_MAX),
            (false, false) => 0,
        };
        let turns = if has_turns { random.u32(1..4) } else { 0 };
        let revivals = if is_revived && (dies || discards) && !is_relayed { random.u32(1..=REVIVALS_MAX) } else { 0 };
        let script = Script { milliseconds: random.u64(0..=MILLISECONDS_MAX), turns, failures, discards, revivals };
        let delay = is_delayed.then(|| Duration::from_millis(random.u64(1..=DELAY_MAX_MS)));
        Self { script, delay: delay.filter(|_| !is_relayed), is_relayed }
    }

    /// Makes each of its runs so many times as long.
    pub(crate) fn stretched(mut self, stretch: u32) -> Self {
        self.script.milliseconds *= u64::from(stretch);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders() -> Vec<Order> {
        (0..500).map(|number| Order::new(7, number)).collect()
    }

    #[test]
    fn an_order_is_the_same_each_time_and_its_payload_reads_back() {
        let orders = orders();
        for (number, order) in (0..).zip(&orders) {
            assert_eq!(&Order::new(7, number), order);
            let payload = order.script.payload();
            assert_eq!(serde_json::from_str::<Script>(&payload).unwrap(), order.script);
            let value: serde_json::Value = serde_json::from_str(&payload).unwrap();
            assert_ne!(value.to_string(), payload);
        }
        let count = |is: fn(&Order) -> bool| orders.iter().filter(|order| is(order)).count();
        assert!(count(|o| o.script.turns > 0) > 30 && count(|o| o.script.failures > 0) > 60);
        assert!(count(|o| o.script.expected().dies) > 10 && count(|o| o.is_relayed) > 25);
        assert!(count(|o| o.delay.is_some()) > 40 && count(|o| o.script.revivals > 0) > 10);
    }

    #[test]
    fn who_follows_the_script_takes_the_expected_turns() {
        for Order { script, .. } in orders() {
            let (mut taken, mut at) = (Vec::new(), (0, 1));
            let dies = loop {
                taken.push(at);
                let is_dead = match script.answer(at.0, at.1) {
                    Answer::Snooze | Answer::Continue => {
                        at = (at.0 + 1, at.1);
                        continue;
                    }
                    Answer::Fail if at.1 < ATTEMPTS_MAX => {
                        at = (at.0, at.1 + 1);
                        continue;
                    }
                    Answer::Fail | Answer::Discard => true,
                    Answer::Complete => false,
                };
                if !is_dead || at.0 - script.turns >= script.revivals {
                    break is_dead;
                }
                at = (at.0 + 1, 1);
            };
            assert_eq!((taken, dies), (script.expected().steps(), script.expected().dies), "{script:?}");
        }
    }
}
