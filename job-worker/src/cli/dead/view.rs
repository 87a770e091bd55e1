//! `dead list` and `dead show`: what is dead, and why.

use std::process::ExitCode;

use job_core::broker::{Page, QueueStats};
use job_core::envelope::{Content, Envelope, cut};
use job_core::error::Result;
use job_core::name::QueueName;
use serde_json::{Value, json};

use crate::cli::args::{ListFlags, ShowFlags};
use crate::cli::dead::found;
use crate::cli::dead::selection::{Selection, Wanted};
use crate::cli::dead::walk::{Walk, dead_queues};
use crate::cli::exit::{Failure, say};
use crate::cli::operator::Operator;
use crate::cli::output::{plain, print, print_bytes, print_result, print_rows};

/// Longest error in a table, in bytes; `show` has all of it.
const ERROR_BYTES_SHOWN: usize = 72;

type Job = (QueueName, Envelope);

pub(super) async fn list(operator: &Operator, flags: &ListFlags) -> Result<ExitCode, Failure> {
    let selection = Selection::listed(&flags.filter, operator.clock().now())?;
    let queues = dead_queues(operator.inspect()?, flags.filter.queue.as_ref()).await?;
    // One more tells whether there is another page.
    let (offset, limit) = (flags.offset, flags.limit + 1);
    let mut jobs = match selection.wanted {
        Wanted::All => page(operator, &queues, offset, limit).await?,
        _ => filtered(operator, &queues, &selection, offset, limit).await?,
    };
    let has_more = jobs.len() > flags.limit;
    jobs.truncate(flags.limit);
    let cut_at = if flags.output.json { usize::MAX } else { ERROR_BYTES_SHOWN };
    let rows = jobs.iter().map(|(queue, envelope)| row(queue, envelope, cut_at)).collect();
    print_rows(rows, &["id", "kind", "queue", "reason", "attempts", "dead_at", "error"], flags.output.json);
    if has_more {
        say(&format!("note: there are more; the next page is --offset {}", flags.offset + flags.limit));
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn show(operator: &Operator, flags: &ShowFlags) -> Result<ExitCode, Failure> {
    let (queue, envelope) = found(operator, &flags.id, flags.queue.as_ref()).await?;
    if flags.payload {
        print_bytes(&envelope.payload);
    } else if flags.output.json {
        print_result("", &whole(&queue, &envelope), true);
    } else {
        print(&text(&queue, &envelope));
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a page that is not filtered, without the jobs before it.
async fn page(operator: &Operator, queues: &[QueueStats], mut offset: usize, limit: usize) -> Result<Vec<Job>> {
    let mut jobs = Vec::new();
    for stats in queues {
        let waiting: u64 = [stats.ready, stats.delayed].into_iter().flatten().sum();
        let waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
        let taken = operator.inspect()?.peek(&stats.name, Page { offset, limit: limit - jobs.len() }).await?;
        offset = offset.saturating_sub(waiting);
        jobs.extend(taken.into_iter().map(|envelope| (stats.name.clone(), envelope)));
        if jobs.len() >= limit {
            break;
        }
    }
    Ok(jobs)
}

/// Reads a page of what is selected.
async fn filtered(
    operator: &Operator,
    queues: &[QueueStats],
    selection: &Selection,
    offset: usize,
    limit: usize,
) -> Result<Vec<Job>> {
    let mut walk = Walk::new(operator.inspect()?, queues);
    let (mut jobs, mut skipped) = (Vec::new(), 0);
    while let Some((queue, batch)) = walk.next().await? {
        for envelope in batch.into_iter().filter(|envelope| selection.matches(envelope)) {
            if skipped < offset {
                skipped += 1;
            } else if jobs.len() < limit {
                jobs.push((queue.clone(), envelope));
            } else {
                return Ok(jobs);
            }
        }
    }
    Ok(jobs)
}

fn row(queue: &QueueName, envelope: &Envelope, error_bytes: usize) -> Value {
    let death = envelope.details.death.as_ref();
    json!({
        "id": envelope.id,
        "kind": envelope.kind,
        "queue": queue.work(),
        "reason": death.map(|death| death.reason.as_str()),
        "attempts": envelope.attempt,
        "dead_at": death.map(|death| death.at),
        "error": death.map(|death| cut(&death.error, error_bytes)),
    })
}

fn whole(queue: &QueueName, envelope: &Envelope) -> Value {
    let details = &envelope.details;
    let mut whole = row(queue, envelope, usize::MAX);
    whole["enqueued_at"] = json!(envelope.enqueued_at);
    whole["failures"] = json!(details.failures);
    whole["headers"] = json!(details.headers);
    whole["traceparent"] = json!(details.trace.map(|trace| trace.to_string()));
    whole["cursor"] = json!(details.cursor);
    whole["sequence"] = json!(envelope.sequence);
    whole["content"] = json!(envelope.content);
    // What is no JSON is there as text; `--payload` prints the bytes.
    let json = (envelope.content == Content::Json).then(|| serde_json::from_slice::<Value>(&envelope.payload).ok());
    let as_text = || String::from_utf8_lossy(&envelope.payload).into();
    whole["payload"] = json.flatten().unwrap_or_else(as_text);
    whole
}

fn text(queue: &QueueName, envelope: &Envelope) -> String {
    let whole = whole(queue, envelope);
    let mut text = String::new();
    let mut line = |name: &str, value: &Value| {
        let value = match value {
            Value::Null => return,
            Value::String(value) => plain(value),
            other => other.to_string(),
        };
        text.push_str(&format!("{:<12} {value}\n", name.replace('_', " ")));
    };
    for name in
        ["id", "kind", "queue", "reason", "error", "dead_at", "attempts", "enqueued_at", "traceparent", "cursor"]
    {
        line(name, &whole[name]);
    }
    for failure in &envelope.details.failures {
        let error = format!(
            "{} attempt {}: {}",
            json!(failure.at).as_str().unwrap_or_default(),
            failure.attempt,
            failure.error
        );
        line("failure", &error.into());
    }
    for (name, value) in &envelope.details.headers {
        line("header", &format!("{name}: {value}").into());
    }
    line("payload", &String::from_utf8_lossy(&envelope.payload).into());
    text
}

#[cfg(test)]
mod tests {
    use job_core::envelope::DeathReason;
    use job_core::name::{JobId, Kind};

    use super::*;

    fn dead() -> Envelope {
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let (id, kind) = (JobId::parse("a").unwrap(), Kind::parse("work").unwrap());
        let mut envelope = Envelope::new(id, kind, br#"{"b": 1, "a": "x"}"#.to_vec(), at);
        envelope.push_failure(at, "disk full\nat last");
        envelope.declare_dead(at, DeathReason::Attempts, "disk full\nat last");
        envelope.details.headers.insert("tenant".into(), "7".into());
        envelope
    }

    #[test]
    fn show_tells_all_of_it_and_the_payload_as_it_is() {
        let queue = QueueName::parse("mail").unwrap().dead();
        let expected = r#"id           a
kind         work
queue        mail
reason       attempts
error        disk full\nat last
dead at      2026-01-01T00:00:00Z
attempts     1
enqueued at  2026-01-01T00:00:00Z
failure      2026-01-01T00:00:00Z attempt 1: disk full\nat last
header       tenant: 7
payload      {"b": 1, "a": "x"}
"#;
        assert_eq!(text(&queue, &dead()), expected);
    }

    #[test]
    fn json_has_the_payload_as_json_or_else_as_text() {
        let queue = QueueName::parse("mail").unwrap().dead();
        assert_eq!(whole(&queue, &dead())["payload"], json!({"a": "x", "b": 1}));
        let broken = Envelope { payload: b"{".to_vec(), ..dead() };
        assert_eq!(whole(&queue, &broken)["payload"], json!("{"));
    }
}
