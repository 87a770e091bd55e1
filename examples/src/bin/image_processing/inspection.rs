//! Checks that an order was carried out: each job is dead, or its file is there and as wide as it should be.

use anyhow::{Context, Result, bail, ensure};
use job_core::broker::JobState;
use job_core::{Client, JobId};

use crate::photo;
use crate::resize_photo::ResizePhoto;
use crate::tally::{Fate, Tally};

/// Checks all jobs, and returns how many of them are dead.
pub(crate) async fn inspect(client: &Client, tally: &Tally, ids: &[JobId], jobs: &[ResizePhoto]) -> Result<usize> {
    ensure!(ids.len() == jobs.len(), "{} jobs were enqueued as {} ids", jobs.len(), ids.len());
    let mut dead = 0;
    for (id, job) in ids.iter().zip(jobs) {
        match fate(client, tally, id).await? {
            Fate::Dead => dead += 1,
            Fate::Done => inspect_file(job).with_context(|| format!("job {id} is done, but"))?,
        }
    }
    Ok(dead)
}

/// Returns how a job ended; one that did not end here was taken by another worker on the same broker.
async fn fate(client: &Client, tally: &Tally, id: &JobId) -> Result<Fate> {
    if let Some(fate) = tally.fate(id) {
        return Ok(fate);
    }
    match client.state(id).await? {
        None => Ok(Fate::Done),
        Some(JobState::Dead) => Ok(Fate::Dead),
        Some(state) => {
            bail!("job {id} did not end, it is still stored ({state:?}); a worker on this broker finishes it")
        }
    }
}

fn inspect_file(job: &ResizePhoto) -> Result<()> {
    let path = job.out.display();
    let source = photo::width(&photo::read(&job.source)?)?;
    let result = photo::read(&job.out).with_context(|| format!("{path} is missing"))?;
    let width = photo::width(&result).with_context(|| format!("{path} is broken"))?;
    let expected = source.min(job.width);
    ensure!(width == expected, "{path} is {width} pixels wide instead of {expected}");
    Ok(())
}
