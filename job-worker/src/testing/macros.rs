//! Assertions whose subject is a pattern.

/// Asserts that a job is enqueued, ready or delayed, that matches a pattern, with an `if` where needed.
///
/// After the pattern: `queue = "…"`, `within = …` (it is due after at most this duration) and `count = …` (exactly so
/// many, instead of at least one). Where it fails, it tells what is enqueued.
///
/// ```standalone_crate
/// # use std::time::Duration;
/// # use job_core::{Context, Job, JobError, Perform};
/// # use job_worker::{assert_enqueued, testing::Harness};
/// # #[derive(Job, serde::Serialize, serde::Deserialize)]
/// # #[job(queue = "images")]
/// # struct Resize { source: String, width: u32 }
/// # impl Perform for Resize { async fn perform(self, _cx: Context<Self>) -> Result<(), JobError> { Ok(()) } }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let harness = Harness::new();
/// harness.client().enqueue(Resize { source: "a.png".into(), width: 200 }).await.unwrap();
/// assert_enqueued!(harness, Resize { width: 200, .. });
/// assert_enqueued!(harness, Resize { source, .. } if source == "a.png", queue = "images", within = Duration::ZERO);
/// assert_enqueued!(harness, Resize { .. }, count = 1);
/// # }
/// ```
#[macro_export]
macro_rules! assert_enqueued {
    ($harness:expr, $pattern:pat $(if $guard:expr)? $(, $option:ident = $value:expr)* $(,)?) => {
        $crate::testing::Expectation::of(&$harness)$(.$option($value))*.assert(
            ::core::stringify!($pattern $(if $guard)?),
            |job| match job {
                $pattern $(if $guard)? => true,
                #[allow(unreachable_patterns)]
                _ => false,
            },
        )
    };
}

/// Asserts that no job is enqueued that matches a pattern; it takes what [`assert_enqueued!`](crate::assert_enqueued!)
/// takes.
#[macro_export]
macro_rules! refute_enqueued {
    ($harness:expr, $pattern:pat $(if $guard:expr)? $(, $option:ident = $value:expr)* $(,)?) => {
        $crate::testing::Expectation::of(&$harness)$(.$option($value))*.refute(
            ::core::stringify!($pattern $(if $guard)?),
            |job| match job {
                $pattern $(if $guard)? => true,
                #[allow(unreachable_patterns)]
                _ => false,
            },
        )
    };
}
