//! What a build without the feature `schedules` says instead of checking: unchecked, a slip would show at run time only.

use std::time::Duration;

use crate::recurrence::Wrong;

/// Asks for the feature.
pub(crate) fn check_cron(_expression: &str) -> Result<(), Wrong> {
    Err(missing())
}

/// Leaves that to [`check_cron`].
#[expect(clippy::unnecessary_wraps, reason = "the other build's may fail")]
pub(crate) fn check_zone(_zone: &str) -> Result<(), Wrong> {
    Ok(())
}

/// Asks for the feature.
pub(crate) fn check_every(_interval: Duration) -> Result<(), Wrong> {
    Err(missing())
}

fn missing() -> Wrong {
    let what = "schedules in attributes are checked when they are compiled, which needs the feature \"schedules\" of \
                job-core; add it in Cargo.toml (job-worker has it by default)";
    Wrong { what: what.into(), at: None }
}
