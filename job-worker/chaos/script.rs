//! What each job of a run does: a pure function of the run's seed and the job's number.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Attempts of a job.
pub(crate) const ATTEMPTS_MAX: u32 = 4;

const MILLISECONDS_MAX: u64 = 100;
const DELAY_MAX_MS: u64 = 1500;

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
}

/// How a job must end, if it was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expected {
    pub(crate) dies: bool,
    pub(crate) attempts: u32,
    pub(crate) turns: u32,
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
        let Self { milliseconds, turns, failures, discards } = self;
        format!(
            "{{ \"turns\":{turns},  \"milliseconds\": {milliseconds}, \"failures\":{failures},\"discards\" :{discards} }}"
        )
    }

    pub(crate) fn expected(&self) -> Expected {
        let dies = self.discards || self.failures >= ATTEMPTS_MAX;
        Expected { dies, attempts: (self.failures + 1).min(ATTEMPTS_MAX), turns: self.turns }
    }
}

impl Order {
    /// Returns the order of this number.
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number);
        let mut one_in = |n: u32| random.u32(0..n) == 0;
        let (has_turns, fails, dies, discards) = (one_in(8), one_in(5), one_in(25), one_in(25));
        let (is_delayed, is_relayed) = (one_in(6), one_in(10));
        let failures = match (dies, fails) {
            (true, _) => ATTEMPTS_MAX,
            (false, true) => random.u32(1..ATTEMPTS_MAX),
            (false, false) => 0,
        };
        let turns = if has_turns { random.u32(1..4) } else { 0 };
        let script = Script { milliseconds: random.u64(0..=MILLISECONDS_MAX), turns, failures, discards };
        let delay = is_delayed.then(|| Duration::from_millis(random.u64(1..=DELAY_MAX_MS)));
        Self { script, delay: delay.filter(|_| !is_relayed), is_relayed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_the_same_each_time_and_its_payload_reads_back() {
        let orders: Vec<Order> = (0..500).map(|n| Order::new(7, n)).collect();
        for (number, order) in (0..).zip(&orders) {
            assert_eq!(&Order::new(7, number), order);
            let payload = order.script.payload();
            assert_eq!(serde_json::from_str::<Script>(&payload).unwrap(), order.script);
            let value: serde_json::Value = serde_json::from_str(&payload).unwrap();
            assert_ne!(value.to_string(), payload);
        }
        let count = |is: fn(&Order) -> bool| orders.iter().filter(|order| is(order)).count();
        assert!(count(|o| o.script.turns > 0) > 30 && count(|o| o.script.failures > 0) > 60);
        assert!(count(|o| o.script.expected().dies) > 20 && count(|o| o.is_relayed) > 25);
        assert!(count(|o| o.delay.is_some()) > 40);
    }
}
