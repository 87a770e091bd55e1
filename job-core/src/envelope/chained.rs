//! A job's place in a chain: what was before it, and the steps that follow once it has completed.
//!
//! Plain data that travels with the job; `chain` makes it and turns the next step into a message.

use std::time::Duration;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::name::{JobId, Kind, QueueName};

/// Most steps that follow a job.
pub const CHAIN_STEPS_MAX: usize = 32;

/// Most bytes of the steps that follow a job, written as JSON: 16 KiB. With the user's headers and the error trail, a
/// message's metadata then stays below half of AMQP's usual frame of 128 KiB, which must hold all of it.
pub const CHAIN_BYTES_MAX: usize = 16 * 1024;

/// A job's place in a chain, and what follows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Chained {
    /// The id of the chain's first job; `None` in that job itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<JobId>,
    /// How many jobs of the chain were before this one.
    pub place: u32,
    /// What follows, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rest: Vec<Step>,
}

/// One job that is going to be enqueued when the one before it has completed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The name of its type.
    pub kind: Kind,
    /// The queue in which it is going to wait.
    pub queue: QueueName,
    /// Its own JSON, as text, so that its bytes are those of the enqueue.
    pub payload: String,
    /// It is dead unless its first run starts within this time of being enqueued.
    #[serde(rename = "expires_ms", default, skip_serializing_if = "Option::is_none", with = "millis")]
    pub expires: Option<Duration>,
    /// Replaces the type's number of attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
}

impl Chained {
    /// Checks that the chain can go on: the limits, and that each payload is JSON.
    ///
    /// # Errors
    /// Names the limit, or the step that is wrong.
    pub fn check(&self) -> Result<()> {
        if self.rest.len() > CHAIN_STEPS_MAX {
            return Err(Error::invalid(format!(
                "at most {CHAIN_STEPS_MAX} jobs follow in a chain, here {} do; let its last job enqueue the others",
                self.rest.len()
            )));
        }
        let bytes = serde_json::to_vec(&self.rest).map_or(usize::MAX, |json| json.len());
        if bytes > CHAIN_BYTES_MAX {
            return Err(Error::invalid(format!(
                "the jobs that follow in a chain have at most {CHAIN_BYTES_MAX} bytes, these have {bytes}; store the data elsewhere and enqueue where it is"
            )));
        }
        self.rest.iter().try_for_each(Step::check)
    }
}

impl Step {
    fn check(&self) -> Result<()> {
        match serde_json::from_str::<IgnoredAny>(&self.payload) {
            Ok(_) => Ok(()),
            Err(error) => {
                let text = format!("the payload of \"{}\" in the chain is not JSON: {error}", self.kind.as_str());
                Err(Error::invalid(text))
            }
        }
    }
}

mod millis {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[allow(clippy::ref_option, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, s: S) -> Result<S::Ok, S::Error> {
        duration.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)).serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(d)?.map(Duration::from_millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(payload: &str) -> Step {
        Step {
            kind: Kind::parse("mail").unwrap(),
            queue: QueueName::parse("default").unwrap(),
            payload: payload.into(),
            expires: None,
            max_attempts: None,
        }
    }

    fn check(rest: Vec<Step>) -> Result<(), String> {
        Chained { rest, ..Chained::default() }.check().map_err(|e| e.to_string())
    }

    #[test]
    fn a_step_is_written_in_words_that_any_language_reads() {
        let step = Step { expires: Some(Duration::from_millis(1500)), max_attempts: Some(3), ..step("{\"to\": 1}") };
        let json = serde_json::to_value(&step).unwrap();
        let expected = serde_json::json!({
            "kind": "mail", "queue": "default", "payload": "{\"to\": 1}", "expires_ms": 1500, "max_attempts": 3
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<Step>(json).unwrap(), step);
    }

    #[test]
    fn the_limits_are_inclusive_and_named() {
        assert_eq!(check(vec![step("1"); CHAIN_STEPS_MAX]), Ok(()));
        let error = "at most 32 jobs follow in a chain, here 33 do; let its last job enqueue the others";
        assert_eq!(check(vec![step("1"); CHAIN_STEPS_MAX + 1]), Err(error.into()));

        let frame = serde_json::to_vec(&[step("")]).unwrap().len();
        assert_eq!(check(vec![step(&"1".repeat(CHAIN_BYTES_MAX - frame))]), Ok(()));
        let error = "the jobs that follow in a chain have at most 16384 bytes, these have 16385; store the data elsewhere and enqueue where it is";
        assert_eq!(check(vec![step(&"1".repeat(CHAIN_BYTES_MAX - frame + 1))]), Err(error.into()));
    }

    #[test]
    fn a_payload_that_is_no_json_is_refused() {
        let error = "the payload of \"mail\" in the chain is not JSON: EOF while parsing an object at line 1 column 1";
        assert_eq!(check(vec![step("{}"), step("{")]), Err(error.into()));
    }
}
