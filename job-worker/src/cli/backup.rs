//! `backup`: copies all jobs into a new file.

use serde_json::json;

use crate::cli::args::BackupFlags;
use crate::cli::exit::Failure;
use crate::cli::operator::Operator;
use crate::cli::output::{count, print_result};

pub(super) async fn backup(url: &str, flags: &BackupFlags) -> Result<(), Failure> {
    let file = &flags.file;
    Operator::run(url, async |operator| {
        let made = operator.client.broker().backup(file).await;
        let made = made.map_err(|error| if error.is_invalid() { Failure::unmakable(error) } else { error.into() })?;
        let text = format!("{} ({} bytes) copied to {}", count(jobs(made.jobs), "job"), made.bytes, file.display());
        let json = json!({ "file": file.to_string_lossy(), "jobs": made.jobs, "bytes": made.bytes });
        print_result(&text, &json, flags.output.json);
        Ok(())
    })
    .await
}

fn jobs(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
