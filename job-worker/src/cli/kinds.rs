//! `kinds`: what can be enqueued, from this program's own types and from what workers have announced.

use std::collections::BTreeMap;

use job_core::error::Result;
use job_core::job::JobType;
use job_core::registry::Registry;
use serde_json::{Value, json};

use crate::catalogue::{KindEntry, announced};
use crate::cli::args::OutputFlags;
use crate::cli::exit::{Failure, say};
use crate::cli::operator::Operator;
use crate::cli::output::print_rows;

/// A kind that is known here. What is linked counts more than what was announced: it is what checks payloads.
pub(super) struct Known {
    pub(super) entry: KindEntry,
    pub(super) linked: Option<&'static JobType>,
}

pub(super) async fn list(url: &str, output: OutputFlags) -> Result<(), Failure> {
    let linked = linked()?;
    let read = Operator::run(url, async |operator| Ok(announced(&*operator.client.broker().ledger()).await?)).await;
    let announced = match read {
        Ok(announced) => announced,
        // A program with jobs of its own has something to tell without any broker.
        Err(failure) if !linked.is_empty() => {
            say(&format!("note: only the linked kinds are listed: {failure}"));
            Vec::new()
        }
        Err(failure) => return Err(failure),
    };
    let rows = merge(linked, announced).iter().map(row).collect();
    print_rows(rows, &["kind", "queue", "max_attempts", "timeout_seconds", "linked", "type"], output.json);
    Ok(())
}

/// Returns the kinds that are linked into this program.
pub(super) fn linked() -> Result<Vec<Known>> {
    Registry::linked()?;
    // An ephemeral subscription has no queue that anybody could name.
    let is_named = |job: &&JobType| job.options.subscription.is_none_or(|subscription| !subscription.is_ephemeral);
    let known = |job: &'static JobType| {
        let entry = KindEntry::new(job.kind, job.aliases, job.queue()?, &job.options);
        Ok(Known { entry, linked: Some(job) })
    };
    JobType::linked().filter(is_named).map(known).collect()
}

/// Puts both together, in the order of the kinds.
pub(super) fn merge(linked: Vec<Known>, announced: Vec<KindEntry>) -> Vec<Known> {
    let mut all: BTreeMap<String, Known> = BTreeMap::new();
    all.extend(announced.into_iter().map(|entry| (entry.kind.clone(), Known { entry, linked: None })));
    all.extend(linked.into_iter().map(|known| (known.entry.kind.clone(), known)));
    all.into_values().collect()
}

/// Says that a kind is not among those that are known.
pub(super) fn unknown(kind: &str, known: &[Known]) -> Failure {
    const SHOWN_MAX: usize = 20;
    let mut names: Vec<String> = known.iter().take(SHOWN_MAX).map(|k| format!("\"{}\"", k.entry.kind)).collect();
    if known.len() > SHOWN_MAX {
        names.push(format!("{} more", known.len() - SHOWN_MAX));
    }
    let those =
        if names.is_empty() { "no kind is known here".into() } else { format!("known are {}", names.join(", ")) };
    Failure::usage(format!(
        "the kind \"{kind}\" is neither linked into this program nor announced by a worker ({those}); check its name, or \
         say --queue QUEUE to enqueue it all the same"
    ))
}

fn row(known: &Known) -> Value {
    let KindEntry { kind, queue, max_attempts, timeout_seconds, expires_seconds, aliases } = &known.entry;
    json!({
        "kind": kind,
        "aliases": aliases,
        "queue": queue,
        "max_attempts": max_attempts,
        "timeout_seconds": timeout_seconds,
        "expires_seconds": expires_seconds,
        "linked": known.linked.is_some(),
        "type": known.linked.map(|job| (job.type_name)()),
    })
}
