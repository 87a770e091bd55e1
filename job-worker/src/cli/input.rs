//! Payloads as an operator hands them in: from the command line or stdin, checked before anything is sent.

use std::io::Read;

use job_core::envelope::{Content, PAYLOAD_BYTES_MAX_DEFAULT};
use job_core::error::Error;
use job_core::job::JobType;

use crate::cli::exit::Failure;

/// Returns the payload that was written, or what stdin has where that is "-".
pub(super) fn payload(text: &str) -> Result<Vec<u8>, Failure> {
    if text != "-" {
        return Ok(text.trim_ascii().into());
    }
    let mut bytes = Vec::new();
    // One byte above the limit is enough to see that it is exceeded.
    let mut stdin = std::io::stdin().take(PAYLOAD_BYTES_MAX_DEFAULT as u64 + 1);
    stdin.read_to_end(&mut bytes).map_err(|e| Failure::data(Error::invalid("stdin cannot be read").caused_by(e)))?;
    Ok(bytes.trim_ascii().into())
}

/// Checks a payload: its size, that it is JSON, and that it decodes where its type is linked into this program.
pub(super) fn check(kind: &str, payload: &[u8]) -> Result<(), Failure> {
    if payload.len() > PAYLOAD_BYTES_MAX_DEFAULT {
        return Err(Failure::data(Error::invalid(format!(
            "the payload of \"{kind}\" has more than {PAYLOAD_BYTES_MAX_DEFAULT} bytes, the limit; store the data \
             elsewhere and enqueue where it is"
        ))));
    }
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(payload) {
        return Err(Failure::data(Error::invalid(format!("the payload of \"{kind}\" is not JSON")).caused_by(error)));
    }
    let Some(job) = JobType::find(kind) else { return Ok(()) };
    (job.check)(payload, Content::Json).map_err(|error| {
        let text = format!("the payload does not decode as \"{kind}\" ({})", (job.type_name)());
        Failure::data(Error::invalid(text).caused_by(error))
    })
}
