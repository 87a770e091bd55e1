//! What the derive makes of right code: options, registry entries, and jobs that come back from their JSON.

use std::collections::HashMap;
use std::time::Duration;

use job_core::backoff::Backoff;
use job_core::envelope::Content;
use job_core::job::JobType;
use job_core::options::JobOptions;
use job_core::registry::Registry;
use job_core::{AnyJob, Context, Job, JobError, Perform, PerformBlocking};
use serde::{Deserialize, Serialize};

struct Store;
struct Cache<K, V>(HashMap<K, V>);

#[derive(Debug, PartialEq, Job, Serialize, Deserialize)]
struct Bare;

#[derive(Debug, PartialEq, Job, Serialize, Deserialize)]
#[job(name = "mail.send-v2", alias("send_mail", "mail"), alias("post"))]
#[job(queue = "mail", max_attempts = 5, backoff = "exponential(1s, max = 10m, factor = 1.5, jitter = 0.25)")]
#[job(timeout = "1m30s", expires = "2h", concurrency = 3)]
#[job(state(Store, Cache<String, u8>), state(u32))]
struct Mail {
    to: String,
}

#[derive(Job, Serialize, Deserialize)]
#[job(blocking, timeout = "none", backoff = "fixed(250ms)")]
struct HTTPGet(String);

#[derive(Job, Serialize, Deserialize)]
#[job(handler = "the crate mail-worker", backoff = policy::linear, queue = "amq.theirs/1", external)]
struct Foreign {}

#[derive(Job, Serialize, Deserialize)]
#[job(handler = "elsewhere", backoff = "policy::linear", state(Store), crate = "::job_core")]
#[allow(non_camel_case_types)]
struct r#type(u8, u8);

mod policy {
    use std::time::Duration;

    pub(super) fn linear(attempt: u32, error: &str) -> Duration {
        Duration::from_secs(u64::from(attempt) + error.len() as u64)
    }
}

impl Perform for Bare {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

impl Perform for Mail {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        let _: &Store = cx.state();
        let _: u32 = *cx.state::<u32>() + u32::from(cx.state::<Cache<String, u8>>().0["a"]);
        Ok(())
    }
}

impl PerformBlocking for HTTPGet {
    fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

/// Compares all fields by their debug text: a `Backoff` has no `PartialEq`, since it may hold a function.
#[track_caller]
fn check_options<J: Job>(expected: JobOptions) {
    assert_eq!(format!("{:?}", J::OPTIONS), format!("{expected:?}"));
}

#[test]
fn a_bare_job_has_the_defaults() {
    assert_eq!((Bare::KIND, Bare::ALIASES), ("bare", &[][..]));
    check_options::<Bare>(JobOptions::DEFAULT);
}

#[test]
fn options_come_out_as_they_were_written() {
    assert_eq!((Mail::KIND, Mail::ALIASES), ("mail.send-v2", &["send_mail", "mail", "post"][..]));
    check_options::<Mail>(JobOptions {
        queue: "mail",
        max_attempts: 5,
        backoff: Backoff::Exponential {
            min: Duration::from_secs(1),
            max: Duration::from_secs(600),
            factor: 1.5,
            jitter: 0.25,
        },
        timeout: Some(Duration::from_secs(90)),
        expires: Some(Duration::from_secs(7200)),
        concurrency: Some(3),
        is_blocking: false,
        is_external: false,
        subscription: None,
    });
    check_options::<HTTPGet>(JobOptions {
        backoff: Backoff::Fixed(Duration::from_millis(250)),
        timeout: None,
        is_blocking: true,
        ..JobOptions::DEFAULT
    });
    let backoff = Backoff::Custom(policy::linear);
    check_options::<Foreign>(JobOptions { queue: "amq.theirs/1", backoff, is_external: true, ..JobOptions::DEFAULT });
}

#[test]
fn a_function_is_asked_for_the_delay() {
    for options in [Foreign::OPTIONS, r#type::OPTIONS] {
        assert_eq!(options.backoff.delay(2, "abc", 0.5), Duration::from_secs(5));
    }
}

#[test]
fn kinds_are_in_snake_case_without_the_raw_mark() {
    assert_eq!((HTTPGet::KIND, r#type::KIND), ("http_get", "type"));
}

#[test]
fn every_job_is_registered_with_its_states_and_its_handler() {
    let registry = Registry::linked().unwrap();
    let found: Vec<_> = registry.iter().map(|d| (d.job.kind, d.states.len(), d.perform.is_some(), d.handler)).collect();
    let expected = [
        ("bare", 0, true, None),
        ("foreign", 0, false, Some("the crate mail-worker")),
        ("http_get", 0, true, None),
        ("mail.send-v2", 3, true, None),
        ("type", 1, false, Some("elsewhere")),
    ];
    assert_eq!(found, expected);
    let states: Vec<_> = registry.find("mail").unwrap().states.iter().map(|s| (s.type_name)()).collect();
    assert_eq!(states, ["derive::Store", "derive::Cache<alloc::string::String, u8>", "u32"]);
}

#[test]
fn a_type_is_found_by_its_name_and_its_aliases() {
    for kind in ["mail.send-v2", "send_mail", "mail", "post"] {
        assert_eq!(JobType::find(kind).map(|t| (t.type_name)()), Some("derive::Mail"), "{kind}");
    }
    assert!(JobType::find("Mail").is_none());
    assert_eq!(JobType::linked().count(), 5);
}

#[test]
fn boxed_jobs_come_back_from_their_json() {
    let jobs: Vec<Box<dyn AnyJob>> = vec![
        Box::new(Bare),
        Box::new(Mail { to: "ann".into() }),
        Box::new(HTTPGet("u".into())),
        Box::new(r#type(1, 2)),
    ];
    let json = serde_json::to_string(&jobs).unwrap();
    assert_eq!(json, r#"[{"bare":null},{"mail.send-v2":{"to":"ann"}},{"http_get":"u"},{"type":[1,2]}]"#);
    let back: Vec<Box<dyn AnyJob>> = serde_json::from_str(&json).unwrap();
    let kinds: Vec<_> = back.iter().map(|job| job.kind()).collect();
    assert_eq!(kinds, ["bare", "mail.send-v2", "http_get", "type"]);
    assert_eq!(back[1].payload().unwrap(), br#"{"to":"ann"}"#);
    assert_eq!(back[1].options().max_attempts, 5);
}

#[test]
fn boxed_jobs_are_known_by_their_aliases() {
    for alias in ["send_mail", "mail", "post"] {
        let json = format!("{{\"{alias}\":{{\"to\":\"ann\"}}}}");
        let job: Box<dyn AnyJob> = serde_json::from_str(&json).unwrap();
        assert_eq!((job.kind(), job.options().queue), ("mail.send-v2", "mail"));
        assert_eq!(job.payload().unwrap(), br#"{"to":"ann"}"#);
        assert_eq!(serde_json::to_string(&job).unwrap(), json);
    }
}

#[test]
fn text_decodes_as_one_string() {
    let http_get = JobType::find("http_get").unwrap();
    assert!((http_get.check)(b"plain, not JSON", Content::Text).is_ok());
    assert!((http_get.check)(br#""quoted""#, Content::Json).is_ok());
    assert!((http_get.check)(b"plain, not JSON", Content::Json).is_err());
    let mail = JobType::find("mail").unwrap();
    assert!((mail.check)(b"plain", Content::Text).is_err());
}

#[test]
fn unit_and_tuple_structs_decode_from_their_json() {
    for (kind, json) in [("bare", "null"), ("type", "[1,2]"), ("http_get", "\"u\""), ("mail", "{\"to\":\"a\"}")] {
        let job_type = JobType::find(kind).unwrap();
        assert!((job_type.check)(json.as_bytes(), Content::Json).is_ok(), "{kind}");
        assert!((job_type.check)(b"17", Content::Json).is_err(), "{kind}");
    }
}
