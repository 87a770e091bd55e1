//! `topology show`: the queues of this program's jobs, and the subscriptions that are known, of any program.

use std::collections::BTreeMap;

use job_core::error::Result;
use job_core::name::QueueName;
use job_core::registry::Registry;
use job_core::topology::Pattern;
use serde_json::{Value, json};

use crate::cli::args::OutputFlags;
use crate::cli::exit::{Failure, say};
use crate::cli::operator::Operator;
use crate::cli::output::print_rows;
use crate::placement::{Place, Placement};
use crate::subscription_log::{SubscriptionEntry, announced};

/// One line: a queue as this program and as the ledger know it.
#[derive(Default)]
struct Line {
    kind: Option<String>,
    group: Option<String>,
    linked: Option<Vec<Pattern>>,
    known: Option<SubscriptionEntry>,
    is_ephemeral: bool,
}

pub(super) async fn show(url: &str, output: OutputFlags) -> Result<(), Failure> {
    let placement = Placement::new(&Registry::linked()?)?;
    let read = Operator::run(url, async |operator| Ok(announced(&*operator.client.broker().ledger()).await?)).await;
    let known = match read {
        Ok(known) => known,
        // A program with jobs of its own has something to tell without any broker.
        Err(failure) if placement.iter().next().is_some() => {
            say(&format!("note: only the linked queues are listed: {failure}"));
            Vec::new()
        }
        Err(failure) => return Err(failure),
    };
    let rows = lines(&placement, known).into_iter().map(|(queue, line)| line.row(&queue)).collect();
    let columns = ["queue", "kind", "listens_to", "ephemeral", "linked", "applied", "last_consumed"];
    print_rows(rows, &columns, output.json);
    Ok(())
}

fn lines(placement: &Placement, known: Vec<SubscriptionEntry>) -> BTreeMap<QueueName, Line> {
    let mut lines: BTreeMap<QueueName, Line> = BTreeMap::new();
    for Place { kind, name, subscription, .. } in placement.iter() {
        let line = lines.entry(name.clone()).or_default();
        line.linked.get_or_insert_default();
        if let Some(subscribed) = subscription {
            line.kind = Some((*kind).to_owned());
            line.group = Some(subscribed.group.to_owned());
            line.linked = Some(subscribed.patterns.clone());
            line.is_ephemeral = subscribed.is_ephemeral;
        }
    }
    for entry in known {
        let line = lines.entry(entry.queue.clone()).or_default();
        line.kind.get_or_insert_with(|| entry.kind.clone());
        line.group.get_or_insert_with(|| entry.group.clone());
        line.known = Some(entry);
    }
    lines
}

impl Line {
    fn row(&self, queue: &QueueName) -> Value {
        let known = self.known.as_ref();
        // What was bound once stays bound, whatever this program listens to today.
        let mut patterns = self.linked.clone().unwrap_or_default();
        patterns.extend(
            known
                .iter()
                .flat_map(|known| &known.patterns)
                .filter(|p| !patterns.contains(p))
                .cloned()
                .collect::<Vec<_>>(),
        );
        let listens_to: Vec<String> = patterns.iter().map(ToString::to_string).collect();
        json!({
            "queue": queue,
            "kind": self.kind,
            "group": self.group,
            "listens_to": (!listens_to.is_empty()).then(|| listens_to.join(", ")),
            "patterns": patterns,
            "ephemeral": self.is_ephemeral,
            "linked": self.linked.is_some(),
            "applied": self.kind.as_ref().filter(|_| !self.is_ephemeral).map(|_| known.is_some()),
            "last_consumed": known.and_then(|known| known.consumed_at),
        })
    }
}
