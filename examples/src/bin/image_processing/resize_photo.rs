//! The job: one photograph, one width, one file.

use std::path::PathBuf;

use anyhow::Context as _;
use job_core::{Context, Job, JobError, PerformBlocking};
use serde::{Deserialize, Serialize};

use crate::photo;
use crate::progress::Progress;

/// Makes a JPEG file of at most `width` pixels of a photograph. Running it twice makes the same file twice.
#[derive(Clone, Debug, PartialEq, Job, Serialize, Deserialize)]
#[job(queue = "images", max_attempts = 3, timeout = "2m", backoff = "fixed(1s)", state(Progress), blocking)]
pub(crate) struct ResizePhoto {
    pub(crate) source: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) width: u32,
}

impl PerformBlocking for ResizePhoto {
    fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Progress>().show(&self.out);
        // A disk that fails may recover: `?` retries.
        let bytes = photo::read(&self.source).with_context(|| format!("cannot read {}", self.source.display()))?;
        // A photograph that is broken stays broken.
        let unusable = |e: anyhow::Error| JobError::discard(e.context(format!("cannot use {}", self.source.display())));
        let photo = photo::decode(&bytes).map_err(unusable)?;
        let small = photo::shrink(photo, self.width).map_err(unusable)?;
        photo::write(&small, &self.out, &cx.id().to_string())?;
        Ok(())
    }
}
