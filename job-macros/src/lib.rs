//! `#[derive(Job)]` and `#[derive(Event)]`: turn structs into background jobs and into events.

// Ranks, lowest first: a module imports from the lines above its own only. `examples/tests/house` checks it.
//   alias duration key mistake name recurrence suggest
//   backoff option_name root
//   attr
//   value
//   source timetable
//   options
//   check
//   expand
//   event

mod alias;
mod attr;
mod backoff;
mod check;
mod duration;
mod event;
mod expand;
mod key;
mod mistake;
mod name;
mod option_name;
mod options;
mod recurrence;
mod root;
mod source;
mod suggest;
mod timetable;
mod value;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

use crate::expand::Job;
use crate::mistake::Mistakes;
use crate::options::Options;

/// Makes a struct a job: its kind, its options, its handler, and its place in the registry.
///
/// The struct is concrete, owns its data, and derives serde's `Serialize` and `Deserialize` too. Its handler is an
/// `impl Perform` (async) or, with `blocking`, an `impl PerformBlocking` beside it.
///
/// ```
/// use std::time::Duration;
///
/// use job_core::{Context, Job, JobError, Perform};
/// use serde::{Deserialize, Serialize};
///
/// struct Mailer;
///
/// #[derive(Job, Serialize, Deserialize)]
/// #[job(queue = "mail", max_attempts = 5, timeout = "30s", backoff = "exponential(1s, max = 10m)", state(Mailer))]
/// struct SendMail {
///     to: String,
/// }
///
/// impl Perform for SendMail {
///     async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
///         let _mailer: &Mailer = cx.state();
///         println!("to {}", self.to);
///         Ok(())
///     }
/// }
///
/// assert_eq!(SendMail::KIND, "send_mail");
/// assert_eq!(SendMail::OPTIONS.queue, "mail");
/// assert_eq!(SendMail::OPTIONS.timeout, Some(Duration::from_secs(30)));
/// ```
///
/// # Options
///
/// All stand in `#[job(…)]`; several of these attributes count as one.
///
/// | option | what it says | default |
/// |---|---|---|
/// | `name = "…"` | the kind, the job's name on the wire: 1 to 128 ASCII letters, digits, `_`, `-`, `.` | the type's name in snake case |
/// | `alias("…", …)` | earlier kinds, under which stored jobs are still decoded; may be repeated | none |
/// | `queue = "…"` | where the job waits; the characters of a kind, not beginning with `jobs.` or `events.`, not ending in `.dead`, `.suspect` or `.retry` | `"default"` |
/// | `max_attempts = N` | how often it is run at the most, the first run counted | 20 |
/// | `backoff = …` | the wait after a failed run, see below | n⁴ + 15 s after the n-th failure, ±10 % |
/// | `timeout = "…"` | how long one run may take; `"none"` is for ever | `"10m"` |
/// | `expires = "…"` | the job is dead unless its first run starts within this time | never |
/// | `concurrency = N` | how many of this kind run at once in a process | no limit of its own |
/// | `blocking` | the handler blocks its thread: `PerformBlocking` instead of `Perform` | async |
/// | `handler = "…"` | the handler is not beside the type but where the text says | beside the type |
/// | `state(T, …)` | what `cx.state::<T>()` may ask for, checked at compile time and at start; may be repeated | none |
/// | `external` | somebody else declared the queue, which may have any AMQP name; needs `queue` | our own queue |
/// | `on(…)` | the job is a subscription, and its jobs are events, see below; may be repeated | jobs are enqueued |
/// | `group = "…"` | whose subscription it is: its queue is `<group>.<kind>`; needs `on` | that of `job_core::application!` |
/// | `ephemeral` | every process gets each event, in a queue that is gone with it: one attempt, no delay, no dead letters; needs `on` | one queue a group |
/// | `cron = "…"` | it is enqueued at these times, see below; may be repeated | never |
/// | `every = "…"` | it is enqueued once in this time; may be repeated | never |
/// | `tz = "…"` | behind a `cron`: the time zone whose wall clocks it means | `"UTC"` |
/// | `missed = "…"` | behind a schedule: `"skip"`, `"once"` or `"all(N)"` of the ticks that no worker fired in time | `"once"` |
/// | `overlap = "…"` | behind a schedule: `"skip"` leaves a tick out while the job before it has not ended | `"allow"` |
/// | `jitter = "…"` | behind a schedule: delays each job by up to this | none |
/// | `schedule_with = path` | the function that makes the jobs of schedules | the type's `Default` |
/// | `crate = ::path` | where job-core is, if neither it nor job-worker is in `Cargo.toml` | found by itself |
///
/// **Subscriptions** listen to events: `on(topic = "member.*.updated")`, where `*` is one word and `#` any number of them;
/// `on(direct = "pdf")`; `on(headers(all, format = "pdf", size = "a4"))`, or `any` of them; `on(fanout = "prices")`; each
/// with `exchange = "…"` where somebody else declared the exchange. The event's JSON is decoded as the job's struct, which
/// names only the fields that it needs. `queue`, `external` and `alias` do not stand beside `on`.
///
/// **Durations** are whole numbers with units, the larger unit first: `250ms`, `30s`, `10m`, `2h`, `1d`, `1w`, `1h30m`.
///
/// **Backoffs**: `"exponential(1s, max = 10m, factor = 2, jitter = 0.1)"`, where `max` defaults to `1d`, `factor` to 2 and
/// `jitter` to 0.1; `"fixed(30s)"`; or the path of a `fn(attempt: u32, error: &str) -> Duration`, where 1 is the first
/// attempt. No wait is longer than 30 days.
///
/// **Schedules**: `cron` takes five fields as POSIX has them (`"0 3 * * *"`), six or seven as the cron crate has them, or
/// `@daily` and its like. They need the feature `schedules` of job-core, which job-worker has by default, and the program
/// an [`application!`](https://docs.rs/job-core) name. The schedule is called as the kind, the second of a type `<kind>.2`.
///
/// # Errors
///
/// Mistakes are told at compile time, all at once, each at its place. Two types with one kind are an error at start.
///
/// A library of jobs is linked only if the program names it: write `use my_jobs as _;` in the worker.
#[proc_macro_derive(Job, attributes(job))]
pub fn derive_job(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let mut mistakes = Mistakes::default();
    check::shape(&input, &mut mistakes);
    let entries = attr::read(&input.attrs, "job", "queue = \"mail\"", &mut mistakes);
    let options = Options::of(&entries, &mut mistakes);
    check::options(&input, &options, &mut mistakes);
    let root = root::find(options.root.as_ref(), "job", &mut mistakes);
    let job = Job { input: &input, options: &options, root: &root };
    if mistakes.is_empty() {
        return job.expand().into();
    }
    // The stub keeps the rest of the user's code compiling, so that one mistake is one error.
    let mut tokens = job.expand_stub();
    tokens.extend(mistakes.into_tokens());
    tokens.into()
}

/// Makes a struct an event: its kind, and where it goes.
///
/// The struct derives serde's `Serialize` too, and may borrow. `client.publish(event)` copies it to every subscription
/// that is bound at that moment; who listens is said by the listeners, with `#[job(on(…))]`.
///
/// ```
/// use job_core::topology::Target;
/// use job_core::Event;
/// use serde::Serialize;
///
/// #[derive(Event, Serialize)]
/// #[event(topic = "user.{user_id}.deleted")]
/// struct UserDeleted {
///     user_id: u64,
/// }
///
/// assert_eq!(UserDeleted::KIND, "user_deleted");
/// assert_eq!(UserDeleted { user_id: 7 }.target().unwrap(), Target::Topic("user.7.deleted".into()));
/// ```
///
/// # Options
///
/// All stand in `#[event(…)]`; several of these attributes count as one. One of the first four says where it goes.
///
/// | option | what it says |
/// |---|---|
/// | `topic = "member.profile.updated"` | it reaches subscriptions by patterns: words with dots between them |
/// | `direct = "pdf"` | it reaches subscriptions with exactly this key |
/// | `headers` | it reaches subscriptions by its headers: the fields with `#[event(header)]` |
/// | `fanout = "prices"` | it reaches all subscriptions to this name |
/// | `exchange = "legacy"` | it goes to an exchange that somebody else declared; beside it, `fanout` has no name |
/// | `name = "…"` | the kind, the `type` on the wire: information for the listeners; the type's name in snake case by default |
/// | `crate = ::path` | where job-core is, if neither it nor job-worker is in `Cargo.toml` |
///
/// **Placeholders.** `{field}` in a key is the value of a field, written with `Display`, as a part of one word: a value
/// that is empty or has a dot, `*` or `#`, or makes the key longer than 255 bytes, is the error of the publish.
///
/// **Headers.** `#[event(header)]` above a field sends its value, written with `Display`, as the header of its name too;
/// `#[event(header = "…")]` names the header.
///
/// # Errors
///
/// Mistakes are told at compile time, all at once, each at its place.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    event::derive(&parse_macro_input!(input as DeriveInput)).into()
}
