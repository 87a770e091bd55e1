//! Exit codes, as sysexits has them, and the last words of a failed command.

use std::error::Error as _;
use std::process::ExitCode;

use job_core::error::Error;

use crate::worker::Stopped;

const EX_USAGE: u8 = 64;
const EX_DATAERR: u8 = 65;
const EX_UNAVAILABLE: u8 = 69;
const EX_SOFTWARE: u8 = 70;
const EX_TEMPFAIL: u8 = 75;
const EX_NOPERM: u8 = 77;
const EX_CONFIG: u8 = 78;

/// Some jobs had not ended when the grace was over; they run again.
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
    let mut text = format!("error: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!("\n  because: {cause}"));
        source = cause.source();
    }
    // eprintln! would panic on a closed stderr.
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{text}\n"));
    ExitCode::from(code(error))
}

fn code(error: &Error) -> u8 {
    match error {
        e if e.is_invalid() || e.is_unsupported() => EX_CONFIG,
        e if e.is_corrupt() => EX_DATAERR,
        e if e.is_denied() => EX_NOPERM,
        e if e.is_unavailable() => EX_UNAVAILABLE,
        _ => EX_SOFTWARE,
    }
}
