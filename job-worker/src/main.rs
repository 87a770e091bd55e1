//! The stock binary: an operator's commands, without anybody's jobs.

use std::process::ExitCode;

fn main() -> ExitCode {
    job_worker::main(async |worker| Ok(worker))
}
