//! Checks that payloads which were stored by earlier versions still decode, and lose nothing: for the tests of those who
//! define jobs.
//!
//! Jobs outlive the program that enqueued them. A file of payloads, kept beside the tests, holds today's types to what
//! yesterday's wrote; see [`assert_payload_compatible!`](crate::assert_payload_compatible!).

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::envelope::Content;
use crate::job::{AnyJob, Job, JobType, encode};

mod loss;

/// The environment variable that has new payloads recorded instead of missed.
pub const UPDATE: &str = "UPDATE_PAYLOADS";

/// Asserts that every payload in a file decodes as the linked type of its kind, by name or alias, and that encoding it
/// again loses nothing. The path is relative to the `Cargo.toml` of the calling crate.
///
/// The file is a JSON array, `[{"kind": "send_mail", "payload": {"to": "ada@example.org"}}, …]`. Its entries are only
/// ever added: they stand for jobs that may still be stored somewhere. *Nothing is lost* means that each field of the
/// payload is found again, with an equal value, in what the type writes after it has read the payload; fields may be
/// added, a field that holds `null` may be left out, and `1` equals `1.0`. A field that was removed or renamed on purpose
/// is named by its path in the entry, `"gone": ["reply.address"]`, so that the loss stands where it is reviewed.
///
/// Further arguments are sample jobs. Each must have been recorded; with `UPDATE_PAYLOADS=1` in the environment those
/// that are new are added to the file, and it is made where it is not there. Recorded entries never change.
///
/// # Panics
/// When a payload is not compatible, or a sample is not recorded. It names the file and, for each fault, index, kind and
/// serde's message.
///
/// ```standalone_crate
/// # #[derive(job_core::Job, serde::Serialize, serde::Deserialize)]
/// # #[job(handler = "elsewhere")]
/// # struct SendMail { to: String }
/// // In tests/payloads.rs of the crate that defines `SendMail`:
/// # fn main() {
/// job_core::assert_payload_compatible!("tests/payloads/v1.json");
/// job_core::assert_payload_compatible!("tests/payloads/v1.json", SendMail { to: "ada@example.org".into() });
/// # }
/// ```
#[macro_export]
macro_rules! assert_payload_compatible {
    ($path:literal $(, $sample:expr)* $(,)?) => {
        $crate::compatibility::assert_compatible(
            ::core::env!("CARGO_MANIFEST_DIR"),
            $path,
            &[$($crate::compatibility::Stored::of(&$sample)),*],
        )
    };
}

/// One stored payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stored {
    /// The kind under which it was enqueued.
    kind: String,
    /// The payload.
    payload: Value,
    /// Paths of fields that today's type has given up on purpose.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    gone: BTreeSet<String>,
}

impl Stored {
    /// Takes the payload of a job.
    ///
    /// # Panics
    /// When the job cannot be written as JSON.
    pub fn of<J: Job>(job: &J) -> Self {
        let payload = encode(job).expect("a sample is written as JSON");
        let payload = serde_json::from_slice(&payload).expect("a job's own JSON is JSON");
        Self { kind: J::KIND.to_owned(), payload, gone: BTreeSet::new() }
    }

    /// Returns what is wrong with it.
    fn faults(&self) -> Vec<String> {
        let Some(job) = JobType::find(&self.kind) else {
            return vec![unknown()];
        };
        match recoded(job, &self.payload) {
            Ok(recoded) => loss::losses(&self.payload, &recoded, &self.gone),
            Err(error) => vec![format!("does not decode as {}: {error}", (job.type_name)())],
        }
    }
}

/// Checks a file against the linked types and the samples; the macro calls it.
///
/// # Panics
/// When a payload is not compatible, or a sample is not recorded.
#[doc(hidden)]
#[track_caller]
pub fn assert_compatible(folder: &str, path: &str, samples: &[Stored]) {
    let is_recording = env::var_os(UPDATE).is_some_and(|value| !value.is_empty() && value != "0");
    if let Err(faults) = check(&Path::new(folder).join(path), path, samples, is_recording) {
        panic!("{faults}");
    }
}

fn check(file: &Path, name: &str, samples: &[Stored], is_recording: bool) -> Result<(), String> {
    let mut stored = read(file, name, is_recording && !samples.is_empty())?;
    let is_new = |sample: &&Stored| !stored.iter().any(|s| s.kind == sample.kind && s.payload == sample.payload);
    let new: Vec<Stored> = samples.iter().filter(is_new).cloned().collect();
    if is_recording && !new.is_empty() {
        stored.extend(new);
        write(file, &stored).map_err(|error| format!("{name} cannot be written: {error}"))?;
    } else if !new.is_empty() {
        return Err(unrecorded(name, &new));
    }
    if stored.is_empty() {
        return Err(format!("{name} holds no payload, so that it proves nothing; add one"));
    }
    let faults = stored.iter().enumerate().flat_map(|(index, stored)| {
        let faults = stored.faults().into_iter();
        faults.map(move |fault| format!("{name}[{index}] \"{}\": {fault}", stored.kind))
    });
    let faults: Vec<String> = faults.collect();
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n")) }
}

fn read(file: &Path, name: &str, may_be_missing: bool) -> Result<Vec<Stored>, String> {
    let text = match fs::read_to_string(file) {
        Err(error) if may_be_missing && error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.map_err(|error| {
            format!("{name} cannot be read: {error}; write [{{\"kind\": …, \"payload\": …}}], or pass samples and set {UPDATE}=1")
        })?,
    };
    serde_json::from_str(&text)
        .map_err(|error| format!("{name} is no array of {{\"kind\": …, \"payload\": …}}: {error}"))
}

fn write(file: &Path, stored: &[Stored]) -> std::io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut text = serde_json::to_string_pretty(stored)?;
    text.push('\n');
    fs::write(file, text)
}

/// Reads a payload as a type and writes it again.
fn recoded(job: &JobType, payload: &Value) -> serde_json::Result<Value> {
    let bytes = serde_json::to_vec(payload)?;
    // Said by the type itself: the detour over the list of all types loses line and column.
    (job.check)(&bytes, Content::Json)?;
    let tagged = serde_json::json!({ job.kind: payload });
    let decoded: Box<dyn AnyJob> = serde_json::from_value(tagged)?;
    serde_json::from_slice(&decoded.payload()?)
}

fn unknown() -> String {
    "no linked type has this kind or alias; if it was renamed, keep the old name with #[job(alias = \"…\")]; if its crate \
     is not linked, name it once, such as `use my_jobs as _;`"
        .into()
}

fn unrecorded(name: &str, new: &[Stored]) -> String {
    let mut text = format!("{name} lacks these samples; set {UPDATE}=1 once to record them:");
    for stored in new {
        text.push_str(&format!("\n  \"{}\" {}", stored.kind, stored.payload));
    }
    text
}

#[cfg(test)]
mod tests;
