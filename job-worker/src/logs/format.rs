//! Writes events as lines: text for people, JSON for machines. What a text line holds cannot end it or drive a terminal.
//!
//! Error texts and ids come from messages that anybody may have written. `serde_json` escapes control characters; for
//! text we do, in every event of the process, not only in ours.

use std::fmt::{self, Debug, Write};
use std::str::FromStr;

use tracing::Subscriber;
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people: time, level, target, message, fields.
    #[default]
    Text,
    /// For machines: one JSON object a line, the event's fields beside `timestamp`, `level`, `target` and `message`.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("log format {text:?} is unknown; expected \"text\" or \"json\"")),
        }
    }
}

/// Makes a subscriber that writes to `writer`.
pub(super) fn subscriber<W>(
    format: LogFormat,
    filter: EnvFilter,
    is_coloured: bool,
    writer: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(is_coloured)
        // Complaining about a broken stderr on stderr panics, in the thread that runs a job.
        .log_internal_errors(false);
    match format {
        LogFormat::Json => Box::new(builder.json().flatten_event(true).finish()),
        LogFormat::Text => Box::new(builder.fmt_fields(debug_fn(write_field).delimited(" ")).finish()),
    }
}

fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn Debug) -> fmt::Result {
    // Strings are quoted by their Debug; a message and what was recorded by its Display are not.
    match field.name() {
        "message" => {}
        name => write!(writer, "{}=", name.trim_start_matches("r#"))?,
    }
    write!(Escaped(writer), "{value:?}")
}

/// Passes text on, with what could end a line or drive a terminal written as `\n` or `\u{1b}`.
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_unsafe) {
            let (safe, tail) = rest.split_at(at);
            self.0.write_str(safe)?;
            let mut tail = tail.chars();
            for c in tail.next().into_iter().flat_map(char::escape_default) {
                self.0.write_char(c)?;
            }
            rest = tail.as_str();
        }
        self.0.write_str(rest)
    }
}

/// True for control characters (C0, DEL, C1), line separators, and what reorders text (Unicode TR 36, "bidi" marks).
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dangerous_characters_become_visible() {
        let mut line = String::new();
        write!(Escaped(&mut line), "a\r\nb\t\x1b]0;owned\x07 \u{9b}31m \u{202e}gpj.exe \u{2028}é → \"q\" \\").unwrap();
        let expected = r#"a\r\nb\t\u{1b}]0;owned\u{7} \u{9b}31m \u{202e}gpj.exe \u{2028}é → "q" \"#;
        assert_eq!(line, expected);
    }

    #[test]
    fn formats_have_names() {
        assert_eq!("text".parse(), Ok(LogFormat::Text));
        assert_eq!("json".parse(), Ok(LogFormat::Json));
        let error = r#"log format "xml" is unknown; expected "text" or "json""#;
        assert_eq!("xml".parse::<LogFormat>(), Err(error.into()));
    }
}
