//! What is checked before a payload is decoded: metadata, size, depth, kind, expiry, and who died of it.

use std::sync::Arc;

use job_core::broker::Delivery;
use job_core::clock::{Timestamp, later};
use job_core::envelope::{Content, DeathReason, Envelope};
use job_core::name::QueueName;
use job_core::options::JobOptions;

use crate::roster::{Roster, Route};

/// Deaths of processes that held a job after which it is suspected. It only nominates: a job that merely shared the
/// process is counted too.
pub(crate) const DEATHS_MAX: u32 = 3;

/// What a worker is willing to decode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) payload_bytes_max: usize,
    pub(crate) depth_max: usize,
}

/// Why a delivery is not run.
#[derive(Debug, PartialEq)]
pub(crate) enum Refusal {
    /// It can never run.
    Dead(DeathReason, String),
    /// Another worker may be able to run it.
    Park(String),
    /// Processes died while they held it: it runs alone, in the suspect lane.
    Suspect,
}

/// Finds the route of a delivery, unless it must not run.
pub(crate) fn check<'a>(delivery: &Delivery, roster: &'a Roster, limits: &Limits) -> Result<&'a Arc<Route>, Refusal> {
    if let Some(defect) = &delivery.defect {
        return Err(Refusal::Dead(DeathReason::Undecodable, defect.clone()));
    }
    let route = check_envelope(&delivery.envelope, &delivery.queue, roster, limits)?;
    let is_suspect = delivery.redeliveries >= DEATHS_MAX && !delivery.queue.is_suspect();
    if is_suspect { Err(Refusal::Suspect) } else { Ok(route) }
}

/// Finds the route of an envelope whose metadata could be read, unless it must not run.
pub(crate) fn check_envelope<'a>(
    envelope: &Envelope,
    queue: &QueueName,
    roster: &'a Roster,
    limits: &Limits,
) -> Result<&'a Arc<Route>, Refusal> {
    check_payload(envelope, limits)?;
    check_chain(envelope)?;
    roster.find(queue, envelope).map_err(Refusal::Park)
}

fn check_payload(envelope: &Envelope, limits: &Limits) -> Result<(), Refusal> {
    let size = envelope.payload.len();
    if size > limits.payload_bytes_max {
        let error = format!("the payload has {size} bytes, the worker's limit is {}", limits.payload_bytes_max);
        return Err(Refusal::Dead(DeathReason::TooLarge, error));
    }
    if envelope.content == Content::Json && is_deeper(&envelope.payload, limits.depth_max) {
        let error = format!("the payload is nested deeper than the worker's limit of {}", limits.depth_max);
        return Err(Refusal::Dead(DeathReason::TooDeep, error));
    }
    Ok(())
}

/// Checks that a job's first run starts in time. A turn, as a snooze begins one, follows a run.
///
/// Who publishes an event knows nothing of the subscription's own limit, which counts from the publish.
pub(super) fn check_expiry(envelope: &Envelope, options: &JobOptions, now: Timestamp) -> Result<(), String> {
    let has_started = envelope.attempt > 1 || envelope.sequence > 0;
    let of_subscription = || options.expires.filter(|_| options.subscription.is_some());
    let expires = envelope.details.expires.or_else(|| of_subscription().map(|d| later(envelope.enqueued_at, d)));
    match expires {
        Some(expires) if expires < now && !has_started => Err(format!("it was not started by {expires}")),
        _ => Ok(()),
    }
}

/// A job whose chain cannot go on is not begun: its effects would have no sequel, and its run no end but death.
fn check_chain(envelope: &Envelope) -> Result<(), Refusal> {
    let Some(chained) = &envelope.details.chain else {
        return Ok(());
    };
    chained.check().map_err(|error| Refusal::Dead(DeathReason::Undecodable, error.to_string()))
}

/// Says whether arrays and objects nest deeper than `limit`, without decoding. Brackets within strings do not count.
fn is_deeper(json: &[u8], limit: usize) -> bool {
    // Most have fewer brackets than that in all, and counting them is many times faster than following them.
    if json.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() <= limit {
        return false;
    }
    let (mut depth, mut is_string, mut is_escaped) = (0usize, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_string => is_escaped = true,
            b'"' => is_string = !is_string,
            b'[' | b'{' if !is_string => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b']' | b'}' if !is_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_counts_brackets_outside_strings() {
        for (json, depth) in [
            (r"1", 0),
            (r"[]", 1),
            (r#"{"a":[{}]}"#, 3),
            (r#"["[[[","\"[[",{}]"#, 2),
            (r#"[[],[],[]]"#, 2),
            (r#"["\\",[]]"#, 2),
        ] {
            assert!(!is_deeper(json.as_bytes(), depth), "{json}");
            assert!(depth == 0 || is_deeper(json.as_bytes(), depth - 1), "{json}");
        }
        assert!(is_deeper(&vec![b'['; 1_000_000], 64));
    }

    #[test]
    fn only_a_job_that_never_started_expires() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let kind = job_core::name::Kind::parse("a").unwrap();
        let mut envelope = Envelope::new(job_core::name::JobId::new(now), kind, Vec::new(), now);
        envelope.details.expires = Some(now);
        assert_eq!(check_expiry(&envelope, &JobOptions::DEFAULT, now), Ok(()));
        let late = now + std::time::Duration::from_secs(1);
        assert_eq!(
            check_expiry(&envelope, &JobOptions::DEFAULT, late),
            Err("it was not started by 2026-01-01 12:00:00 UTC".to_owned())
        );
        envelope.attempt = 2;
        assert_eq!(check_expiry(&envelope, &JobOptions::DEFAULT, late), Ok(()));
    }
}
