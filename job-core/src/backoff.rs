//! How long to wait before the next attempt: pure functions of the attempt, the error and a random number.

use std::time::Duration;

/// Longest delay that a policy gives: 30 days.
pub const BACKOFF_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// A policy for the delay before the next attempt.
#[derive(Clone, Copy, Debug)]
pub enum Backoff {
    /// `n^4 + 15 s` after the n-th failure, ±10 %: 16 s, 31 s, 96 s, … about a day after the seventeenth. The default.
    Polynomial,
    /// `min · factor^(n-1)`, at most `max`, spread by ±`jitter` (0.1 is ±10 %).
    Exponential {
        /// The delay after the first failure.
        min: Duration,
        /// The longest delay.
        max: Duration,
        /// How much longer each delay is than the one before; at least 1.
        factor: f64,
        /// The share of the delay by which it is spread to both sides; 0 to 1.
        jitter: f64,
    },
    /// The same delay each time.
    Fixed(Duration),
    /// A function of the failed attempt (1 is the first) and the error's text.
    Custom(fn(attempt: u32, error: &str) -> Duration),
}

impl Backoff {
    /// Returns the delay after the `attempt`-th run failed with `error`. `random`, from 0 to 1, places it within the
    /// jitter: 0.5 is the middle.
    pub fn delay(&self, attempt: u32, error: &str, random: f64) -> Duration {
        let attempt = attempt.max(1);
        let delay = match *self {
            Self::Polynomial => spread(f64::from(attempt).powi(4) + 15.0, 0.1, random),
            Self::Exponential { min, max, factor, jitter } => {
                let exponent = i32::try_from(attempt - 1).unwrap_or(i32::MAX);
                let seconds = min.as_secs_f64() * factor.powi(exponent);
                spread(seconds.min(max.as_secs_f64()), jitter, random)
            }
            Self::Fixed(delay) => delay,
            Self::Custom(policy) => policy(attempt, error),
        };
        delay.min(BACKOFF_MAX)
    }
}

fn spread(seconds: f64, jitter: f64, random: f64) -> Duration {
    let seconds = seconds * (1.0 + jitter * (2.0 * random - 1.0));
    // NaN and infinity end at the cap: `try_from` refuses them.
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIDDLE: f64 = 0.5;

    #[test]
    fn the_default_is_the_fourth_power_and_fifteen_seconds() {
        for (attempt, seconds) in [(1, 16), (2, 31), (3, 96), (10, 10_015), (17, 83_536)] {
            let delay = Backoff::Polynomial.delay(attempt, "", MIDDLE);
            assert_eq!(delay, Duration::from_secs(seconds), "attempt {attempt}");
        }
    }

    #[test]
    fn the_default_spreads_by_a_tenth() {
        assert_eq!(Backoff::Polynomial.delay(1, "", 0.0), Duration::from_millis(14_400));
        assert_eq!(Backoff::Polynomial.delay(1, "", 1.0), Duration::from_millis(17_600));
    }

    #[test]
    fn exponential_grows_to_its_cap() {
        let policy = Backoff::Exponential {
            min: Duration::from_secs(1),
            max: Duration::from_secs(600),
            factor: 2.0,
            jitter: 0.0,
        };
        for (attempt, seconds) in [(1, 1), (2, 2), (5, 16), (10, 512), (11, 600), (u32::MAX, 600)] {
            assert_eq!(policy.delay(attempt, "", MIDDLE), Duration::from_secs(seconds), "attempt {attempt}");
        }
    }

    #[test]
    fn no_policy_exceeds_thirty_days() {
        assert_eq!(Backoff::Polynomial.delay(u32::MAX, "", MIDDLE), BACKOFF_MAX);
        assert_eq!(Backoff::Fixed(Duration::MAX).delay(1, "", MIDDLE), BACKOFF_MAX);
        let custom = Backoff::Custom(|attempt, error| Duration::from_secs(u64::from(attempt) + error.len() as u64));
        assert_eq!(custom.delay(2, "abc", MIDDLE), Duration::from_secs(5));
    }
}
