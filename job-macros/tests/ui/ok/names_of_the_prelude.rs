//! The expansion means the language's `Option` and `Result`, whatever the user has under these names.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unused_qualifications, unreachable_pub, single_use_lifetimes, trivial_casts)]
#![deny(let_underscore_drop, missing_debug_implementations, non_local_definitions, unused_results)]

use job_core::{Job as DeriveJob, JobError};
use serde::{Deserialize as De, Serialize as Ser};

struct Job;
struct Result;
struct Option;
struct Some;
struct None;
struct Ok;
struct Box;
struct String;
struct Vec;
struct Send;
struct AnyJob;
struct Perform;
mod typetag {}
mod inventory {}

#[allow(unused_macros)]
macro_rules! assert {
    () => {};
}

mod private {
    use super::*;
    use job_core::Context;

    #[derive(DeriveJob, Ser, De)]
    #[job(max_attempts = 3, timeout = "none", expires = "1h", state(Job, Vec), alias("letter"), backoff = options)]
    struct Mail(u8);

    fn options(_: u32, _: &str) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    impl job_core::Perform for Mail {
        async fn perform(self, _: Context<Self>) -> std::result::Result<(), JobError> {
            let _ = self.0;
            std::result::Result::Ok(())
        }
    }
}

fn main() {
    #[derive(DeriveJob, Ser, De)]
    #[job(blocking)]
    struct InAFunction {}

    impl job_core::PerformBlocking for InAFunction {
        fn perform(self, _: job_core::Context<Self>) -> std::result::Result<(), JobError> {
            std::result::Result::Ok(())
        }
    }
    let _ = (Job, Result, Option, Some, None, Ok, Box, String, Vec, Send, AnyJob, Perform);
    let found = job_core::registry::Registry::linked().unwrap();
    let kinds = found.iter().map(|d| d.job.kind).collect::<std::vec::Vec<_>>();
    assert_eq!(kinds, ["in_a_function", "mail"]);
    assert_eq!(found.iter().filter(|d| d.perform.is_some()).count(), 2);
}
