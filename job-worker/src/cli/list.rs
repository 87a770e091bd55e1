//! What `kinds` and `queues` print: a table for people, JSON for programs.

use std::io::Write;

use job_core::broker::QueueStats;
use job_core::clock::Timestamp;
use job_core::registry::Registry;
use serde_json::{Value, json};

pub(super) fn kinds(registry: &Registry, is_json: bool) {
    let rows: Vec<Value> = registry
        .iter()
        .map(|d| {
            json!({
                "kind": d.job.kind,
                "aliases": d.job.aliases,
                "queue": d.job.options.queue,
                "max_attempts": d.job.options.max_attempts,
                "timeout_seconds": d.job.options.timeout.map(|t| t.as_secs_f64()),
                "type": (d.job.type_name)(),
            })
        })
        .collect();
    print(&rows, &["kind", "queue", "max_attempts", "timeout_seconds", "type"], is_json);
}

pub(super) fn queues(queues: &[QueueStats], now: Timestamp, is_json: bool) {
    let rows: Vec<Value> = queues
        .iter()
        .map(|q| {
            let age = q.oldest_ready.map(|at| (now - at).num_milliseconds().max(0));
            json!({
                "queue": q.name,
                "ready": q.ready,
                "delayed": q.delayed,
                "running": q.running,
                "oldest_ready_milliseconds": age,
            })
        })
        .collect();
    print(&rows, &["queue", "ready", "delayed", "running", "oldest_ready_milliseconds"], is_json);
}

fn print(rows: &[Value], columns: &[&str], is_json: bool) {
    let text = if is_json { format!("{:#}\n", Value::from(rows)) } else { table(rows, columns) };
    // A reader that has gone (`| head`) is nothing to die of.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Lines the columns up. What is unknown is a dash, never a zero.
fn table(rows: &[Value], columns: &[&str]) -> String {
    let heads = columns.iter().map(|c| c.to_uppercase().replace('_', " ")).collect();
    let mut lines: Vec<Vec<String>> = vec![heads];
    lines.extend(rows.iter().map(|row| columns.iter().map(|c| cell(&row[*c])).collect()));
    let width = |i: usize| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up_and_show_a_dash_for_the_unknown() {
        let rows = [json!({"queue": "mail", "ready": 3}), json!({"queue": "images", "ready": null})];
        assert_eq!(table(&rows, &["queue", "ready"]), "QUEUE   READY\nmail    3\nimages  -\n");
    }
}
