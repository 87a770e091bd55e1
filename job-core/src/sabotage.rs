//! Faults that a test build can switch on: points at which a process dies, and mutants, which break one promise each.
//!
//! The chaos harness proves with them that it sees what it looks for. Without the feature `chaos` every function here is
//! empty and inlined: no other build can be made to fail.

#[cfg(feature = "chaos")]
mod armed;
#[cfg(not(feature = "chaos"))]
mod idle;

#[cfg(feature = "chaos")]
pub use armed::{begun, committed, fail_point, fence, is_on, written};
#[cfg(not(feature = "chaos"))]
pub use idle::{begun, committed, fail_point, fence, is_on, written};

/// A way to break one promise, chosen by the environment variable `JOB_MUTANT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A worker acknowledges a job before it runs it.
    AcknowledgeFirst,
    /// A job is settled by whoever names its row, whoever has claimed it since.
    NoFence,
    /// A job is forgotten without its followers.
    ForgetThen,
    /// A failed job comes back under the number of the attempt that failed.
    RetrySameAttempt,
    /// An enqueue answers before it is flushed to the disk. No kill shows it, only a loss of power.
    EnqueueUnflushed,
    /// A transaction that writes begins without the lock.
    DeferredBegin,
    /// A worker goes on to start jobs after it was told to stop.
    StartAfterTerm,
    /// A failed job comes back with other bytes of the same meaning.
    ReencodeOnRetry,
    /// On RabbitMQ, a delivery is acknowledged before its retry is confirmed.
    AckBeforeConfirm,
    /// On RabbitMQ, what no queue takes is not kept: there is no alternate exchange, and `mandatory` is trusted.
    TrustMandatory,
    /// On RabbitMQ, a delivery of a lost connection is acknowledged on the next one, by its number.
    AckAcrossGenerations,
    /// On RabbitMQ, deliveries are acknowledged together with those before them that still run.
    AckOverGap,
    /// On RabbitMQ, what is sent again keeps the header by which brokers see a circle.
    KeepXDeath,
}

impl Mutant {
    /// Those of every broker that can show them, and of the embedded one.
    pub const ALL: [Self; 8] = [
        Self::AcknowledgeFirst,
        Self::NoFence,
        Self::ForgetThen,
        Self::RetrySameAttempt,
        Self::EnqueueUnflushed,
        Self::DeferredBegin,
        Self::StartAfterTerm,
        Self::ReencodeOnRetry,
    ];

    /// Those of RabbitMQ alone.
    pub const AMQP: [Self; 5] =
        [Self::AckBeforeConfirm, Self::TrustMandatory, Self::AckAcrossGenerations, Self::AckOverGap, Self::KeepXDeath];

    /// Returns the name by which the environment chooses it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AcknowledgeFirst => "acknowledge_first",
            Self::NoFence => "no_fence",
            Self::ForgetThen => "forget_then",
            Self::RetrySameAttempt => "retry_same_attempt",
            Self::EnqueueUnflushed => "enqueue_unflushed",
            Self::DeferredBegin => "deferred_begin",
            Self::StartAfterTerm => "start_after_term",
            Self::ReencodeOnRetry => "reencode_on_retry",
            Self::AckBeforeConfirm => "ack_before_confirm",
            Self::TrustMandatory => "trust_mandatory",
            Self::AckAcrossGenerations => "ack_across_generations",
            Self::AckOverGap => "ack_over_gap",
            Self::KeepXDeath => "keep_x_death",
        }
    }
}
