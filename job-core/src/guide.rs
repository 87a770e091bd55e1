//! The guides: how to use these crates, in programs that are compiled and run with the tests.
//!
//! They are the Markdown files of `job-core/docs`, so that they can be read beside the code too. Each ends with the
//! links to the others as files; the same names stand before it as links to modules, and the first ones count.

#[doc = "[retries]: crate::guide::retries\n[stopping and deploying]: crate::guide::stopping_and_deploying\n"]
#[doc = "[writing jobs]: crate::guide::writing_jobs\n"]
#[doc = include_str!("../docs/getting-started.md")]
pub mod getting_started {}

#[doc = include_str!("../docs/writing-jobs.md")]
pub mod writing_jobs {}

#[doc = "[dead jobs]: crate::guide::dead_letters\n[idempotent]: crate::guide::writing_jobs\n"]
#[doc = "[testing]: crate::guide::testing\n[the wire format]: crate::guide::wire_format\n"]
#[doc = include_str!("../docs/commands-and-events.md")]
pub mod commands_and_events {}

#[doc = "[dead jobs]: crate::guide::dead_letters\n[writing jobs]: crate::guide::writing_jobs\n"]
#[doc = "[stopping and deploying]: crate::guide::stopping_and_deploying\n"]
#[doc = include_str!("../docs/retries.md")]
pub mod retries {}

#[doc = "[changing a job]: crate::guide::writing_jobs#changing-a-job\n[idempotent]: crate::guide::writing_jobs\n"]
#[doc = "[the reasons]: crate::guide::retries#why-a-job-is-dead\n"]
#[doc = "[a day]: crate::guide::retries#a-kind-that-no-worker-knows\n"]
#[doc = include_str!("../docs/stopping-and-deploying.md")]
pub mod stopping_and_deploying {}

#[doc = "[idempotency key]: crate::guide::writing_jobs\n[the reasons]: crate::guide::retries#why-a-job-is-dead\n"]
#[doc = "[sending one back from code]: crate::guide::retries#sending-a-dead-job-back\n"]
#[doc = include_str!("../docs/dead-letters.md")]
pub mod dead_letters {}

#[doc = include_str!("../docs/schedules.md")]
pub mod schedules {}

#[doc = "[Guarantees]: crate::guide::guarantees\n[the wire format]: crate::guide::wire_format\n"]
#[doc = include_str!("../docs/rabbitmq.md")]
pub mod rabbitmq {}

#[doc = "[RabbitMQ]: crate::guide::rabbitmq\n[parked]: crate::guide::retries#a-kind-that-no-worker-knows\n"]
#[doc = include_str!("../docs/wire-format.md")]
pub mod wire_format {}

#[doc = include_str!("../docs/guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}
