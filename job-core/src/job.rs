//! What makes a type a job: its kind, its options, its JSON, and the list of all such types in the program.
//!
//! `#[derive(Job)]` implements everything here. Handlers are elsewhere (`perform`): a producer needs none.

use serde::de::DeserializeOwned;
use serde::{Deserializer, Serialize, Serializer};

use crate::envelope::{Content, Envelope};
use crate::error::{Error, Result};
use crate::name::QueueName;
use crate::options::JobOptions;

/// A command that is stored as JSON and run later.
///
/// Derive it: `#[derive(Job, Serialize, Deserialize)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a job",
    label = "not a job",
    note = "add `#[derive(Job, Serialize, Deserialize)]` to the type"
)]
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// The name on the wire; stored jobs are found by it, so it outlives renames of the type.
    const KIND: &'static str;

    /// Earlier names, under which stored jobs are still decoded.
    const ALIASES: &'static [&'static str] = &[];

    /// How jobs of this type are run.
    const OPTIONS: JobOptions = JobOptions::DEFAULT;
}

/// A job as data, whatever its type: for lists in files, chains, and tools. `Box<dyn AnyJob>` is serialized as
/// `{"<kind>": {…}}`.
#[typetag::serde]
pub trait AnyJob: Send {
    /// Returns the kind.
    fn kind(&self) -> &'static str;

    /// Returns the options.
    fn options(&self) -> &'static JobOptions;

    /// Encodes the payload: the job's own JSON.
    ///
    /// # Errors
    /// Those of the type's `Serialize`.
    fn payload(&self) -> serde_json::Result<Vec<u8>>;
}

/// A job's type as the program knows it, without its handler.
#[derive(Clone, Copy, Debug)]
pub struct JobType {
    /// The name on the wire.
    pub kind: &'static str,
    /// Earlier names.
    pub aliases: &'static [&'static str],
    /// The Rust type, for messages to people.
    pub type_name: fn() -> &'static str,
    /// How its jobs are run.
    pub options: JobOptions,
    /// Says whether a payload decodes as this type.
    pub check: fn(&[u8], Content) -> serde_json::Result<()>,
}

inventory::collect!(JobType);

impl JobType {
    /// Describes the type `J`.
    pub const fn of<J: Job>() -> Self {
        Self {
            kind: J::KIND,
            aliases: J::ALIASES,
            type_name: std::any::type_name::<J>,
            options: J::OPTIONS,
            check: check::<J>,
        }
    }

    /// Returns the queue in which its jobs wait.
    ///
    /// # Errors
    /// As [`JobOptions::queue_name`].
    pub fn queue(&self) -> Result<QueueName> {
        self.options.queue_name(self.kind)
    }

    /// Returns every type that was linked into this program, in no order.
    pub fn linked() -> impl Iterator<Item = &'static Self> {
        inventory::iter::<Self>.into_iter()
    }

    /// Finds the linked type of a kind, by its name or an alias.
    pub fn find(kind: &str) -> Option<&'static Self> {
        Self::linked().find(|t| t.kind == kind || t.aliases.contains(&kind))
    }
}

/// Decodes a payload in one pass, straight into the type.
///
/// # Errors
/// Says what does not fit, and where.
pub fn decode<J: Job>(envelope: &Envelope) -> serde_json::Result<J> {
    decode_bytes(&envelope.payload, envelope.content)
}

fn decode_bytes<J: Job>(payload: &[u8], content: Content) -> serde_json::Result<J> {
    match content {
        Content::Json => serde_json::from_slice(payload),
        Content::Text => {
            let text = std::str::from_utf8(payload).map_err(serde::de::Error::custom)?;
            // A plain `&str` deserializer does not open newtypes; a JSON string does.
            J::deserialize(serde_json::Value::from(text))
        }
    }
}

/// Encodes a job: its own JSON.
///
/// # Errors
/// Names the job; the cause is that of the type's `Serialize`.
pub fn encode<J: Job>(job: &J) -> Result<Vec<u8>> {
    serde_json::to_vec(job).map_err(|error| unwritable(J::KIND, error))
}

pub(crate) fn unwritable(kind: &str, error: serde_json::Error) -> Error {
    Error::invalid(format!("the job \"{kind}\" cannot be written as JSON")).caused_by(error)
}

/// What [`AnyJob::payload`] answers.
#[doc(hidden)]
pub type PayloadResult = serde_json::Result<Vec<u8>>;

/// Returns the options of a type; derived code calls it.
#[doc(hidden)]
pub fn options_of<J: Job>() -> &'static JobOptions {
    const { &J::OPTIONS }
}

/// Encodes a job; derived code calls it, so that a missing `Serialize` is told once.
#[doc(hidden)]
pub fn payload_of<J: Job>(job: &J) -> PayloadResult {
    serde_json::to_vec(job)
}

/// Serializes a job; derived code calls it.
#[doc(hidden)]
pub fn write_job<J: Job, S: Serializer>(job: &J, serializer: S) -> Result<S::Ok, S::Error> {
    job.serialize(serializer)
}

/// Deserializes a job; derived code calls it.
#[doc(hidden)]
pub fn read_job<'de, J: Job, D: Deserializer<'de>>(deserializer: D) -> Result<J, D::Error> {
    J::deserialize(deserializer)
}

fn check<J: Job>(payload: &[u8], content: Content) -> serde_json::Result<()> {
    decode_bytes::<J>(payload, content).map(drop)
}
