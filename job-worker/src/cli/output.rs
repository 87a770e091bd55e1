//! What commands print to stdout: a table or text for people, one JSON document for programs.

use std::io::Write;

use clap::builder::styling::Style;
use serde_json::Value;

const BOLD: Style = Style::new().bold();

/// Prints rows as a table, or as a JSON array.
pub(super) fn print_rows(rows: Vec<Value>, columns: &[&str], is_json: bool) {
    if is_json {
        return print_json(&Value::from(rows));
    }
    let text = table(&rows, columns);
    let (head, body) = text.split_once('\n').unwrap_or((&text, ""));
    print(&format!("{BOLD}{head}{BOLD:#}\n{body}"));
}

/// Prints a line, or a JSON object.
pub(super) fn print_result(text: &str, json: &Value, is_json: bool) {
    if is_json { print_json(json) } else { print(&format!("{text}\n")) }
}

/// Prints text; colours in it reach a terminal only.
pub(super) fn print(text: &str) {
    // A reader that has gone (`| head`) is nothing to die of.
    let _ = anstream::stdout().write_all(text.as_bytes());
}

/// Prints bytes as they are.
pub(super) fn print_bytes(bytes: &[u8]) {
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(bytes).and_then(|()| stdout.flush());
}

/// Returns text that can neither end its line nor drive a terminal: anybody may have written it.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { plain.extend(c.escape_default()) } else { plain.push(c) }
    }
    plain
}

/// Writes a number of things: "1 job", "3 jobs".
pub(super) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn print_json(json: &Value) {
    print_bytes(format!("{json:#}\n").as_bytes());
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
        Value::Bool(true) => "yes".into(),
        Value::Bool(false) => "no".into(),
        Value::String(text) => plain(text),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tables_line_up_and_show_a_dash_for_the_unknown() {
        let rows = [json!({"queue": "mail", "ready": 3}), json!({"queue": "images", "ready": null})];
        assert_eq!(table(&rows, &["queue", "ready"]), "QUEUE   READY\nmail    3\nimages  -\n");
    }

    #[test]
    fn a_cell_cannot_leave_its_line_or_drive_a_terminal() {
        let rows = [json!({"error": "a\nb\u{1b}[2J"})];
        assert_eq!(table(&rows, &["error"]), "ERROR\na\\nb\\u{1b}[2J\n");
    }
}
