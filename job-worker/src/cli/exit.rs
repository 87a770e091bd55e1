//! Exit codes, as sysexits has them, and the last words of a failed command.

use std::error::Error as _;
use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use clap::builder::styling::{AnsiColor, Style};
use job_core::client::EnqueueError;
use job_core::error::Error;

use crate::worker::Stopped;

const EX_USAGE: u8 = 64;
const EX_DATAERR: u8 = 65;
const EX_NOINPUT: u8 = 66;
const EX_UNAVAILABLE: u8 = 69;
const EX_SOFTWARE: u8 = 70;
const EX_CANTCREAT: u8 = 73;
const EX_TEMPFAIL: u8 = 75;
const EX_NOPERM: u8 = 77;
const EX_CONFIG: u8 = 78;

const RED: Style = AnsiColor::Red.on_default().bold();

/// Why a command failed, and the code that says so.
#[derive(Debug)]
pub(super) struct Failure {
    code: u8,
    error: Error,
}

impl Failure {
    /// The command was written wrongly.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { code: EX_USAGE, error: Error::invalid(message) }
    }

    /// What was handed in is wrong, such as a payload.
    pub(super) fn data(error: Error) -> Self {
        Self { code: EX_DATAERR, error }
    }

    /// What was named is not there.
    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self { code: EX_NOINPUT, error: Error::invalid(message) }
    }

    /// A file cannot be made.
    pub(super) fn unmakable(error: Error) -> Self {
        Self { code: EX_CANTCREAT, error }
    }

    /// It is not possible now, and may be later.
    pub(super) fn busy(message: impl Into<String>) -> Self {
        Self { code: EX_TEMPFAIL, error: Error::rejected(message) }
    }

    /// Prints the error with its causes, and returns its code.
    pub(super) fn report(self) -> ExitCode {
        failure(&self.error);
        ExitCode::from(self.code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { code: code(&error), error }
    }
}

impl From<EnqueueError> for Failure {
    fn from(error: EnqueueError) -> Self {
        // Its text has the id, under which it is safe to try again.
        let same = Error::rejected(error.to_string());
        let cause = error.source().map(ToString::to_string);
        Self { code: code(error.error()), error: cause.into_iter().fold(same, Error::caused_by) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

/// Some jobs had not ended when the grace was over and run again, or some could not be changed now.
pub(super) fn unfinished() -> ExitCode {
    ExitCode::from(EX_TEMPFAIL)
}

/// A part of the worker failed for good.
pub(super) fn failed(stopped: &Stopped) -> ExitCode {
    match &stopped.failure {
        Some(error) => {
            failure(error);
            // A part that was started again in vain is a fault of the program, unless the error names another.
            ExitCode::from(if error.is_corrupt() { EX_DATAERR } else { EX_SOFTWARE })
        }
        None => ExitCode::SUCCESS,
    }
}

/// Prints what clap says; help and version are no failure.
pub(super) fn usage(error: &clap::Error) -> ExitCode {
    // A closed stdout or stderr is nothing to die of.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(EX_USAGE) } else { ExitCode::SUCCESS }
}

/// Prints an error with its causes, and returns its code.
pub(super) fn failure(error: &Error) -> ExitCode {
    let mut text = format!("{RED}error:{RED:#} {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        // Some libraries' errors repeat what they come from.
        if !text.ends_with(&said) {
            text.push_str(&format!("\n  because: {said}"));
        }
        source = cause.source();
    }
    say(&text);
    ExitCode::from(code(error))
}

/// Writes a line to stderr; colours in it reach a terminal only.
pub(super) fn say(line: &str) {
    // eprintln! would panic on a closed stderr.
    let _ = writeln!(anstream::stderr(), "{line}");
}

fn code(error: &Error) -> u8 {
    match error {
        e if e.is_invalid() || e.is_unsupported() => EX_CONFIG,
        e if e.is_corrupt() => EX_DATAERR,
        e if e.is_denied() => EX_NOPERM,
        e if e.is_unavailable() => EX_UNAVAILABLE,
        e if e.is_unconfirmed() => EX_TEMPFAIL,
        _ => EX_SOFTWARE,
    }
}
