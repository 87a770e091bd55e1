//! What is compatible, what is not and how that is told, and how payloads are recorded.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tempfile::TempDir;

use crate::compatibility::{Stored, check};

#[derive(job_core::Job, Serialize, Deserialize)]
#[job(handler = "elsewhere", alias("old_note"))]
struct Note {
    to: String,
    #[serde(default)]
    copies: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
}

/// A file of payloads, gone after the test.
struct File(TempDir);

impl File {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn holding(entries: &serde_json::Value) -> Self {
        let file = Self::new();
        fs::write(file.path(), entries.to_string()).unwrap();
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("v1.json")
    }

    fn check(&self, samples: &[Stored], is_recording: bool) -> Result<(), String> {
        check(&self.path(), "v1.json", samples, is_recording)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path()).unwrap()
    }
}

fn sample(to: &str) -> Stored {
    Stored::of(&Note { to: to.into(), copies: 1, subject: None })
}

#[test]
fn payloads_of_earlier_versions_are_compatible() {
    let file = File::holding(&json!([
        {"kind": "note", "payload": {"to": "a"}},
        {"kind": "old_note", "payload": {"to": "a", "copies": 2, "subject": null}},
        {"kind": "note", "payload": {"to": "a", "urgent": true}, "gone": ["urgent"]},
    ]));
    assert_eq!(file.check(&[], false), Ok(()));
}

/// The negative control: each of these must fail, and all are told at once.
#[test]
fn every_incompatible_payload_is_told_with_its_place() {
    let file = File::holding(&json!([
        {"kind": "note", "payload": {"to": "a"}},
        {"kind": "note", "payload": {"copies": 1}},
        {"kind": "old_note", "payload": {"to": "a", "urgent": true}},
        {"kind": "nobody", "payload": 1},
        {"kind": "note", "payload": {"to": "a"}, "gone": ["urgent"]},
    ]));
    let expected = "\
        v1.json[1] \"note\": does not decode as job_core::compatibility::tests::Note: missing field `to` at line 1 column 12\n\
        v1.json[2] \"old_note\": `urgent` is lost; a field that was given up on purpose stands in \"gone\"\n\
        v1.json[3] \"nobody\": no linked type has this kind or alias; if it was renamed, keep the old name with #[job(alias = \"…\")]; \
        if its crate is not linked, name it once, such as `use my_jobs as _;`\n\
        v1.json[4] \"note\": `urgent` is not gone; remove it from \"gone\"";
    assert_eq!(file.check(&[], false), Err(expected.into()));
}

#[test]
fn a_file_that_proves_nothing_fails() {
    let error = File::new().check(&[], true).unwrap_err();
    assert!(error.starts_with("v1.json cannot be read: No such file"), "{error}");
    let error = File::holding(&json!([])).check(&[], false).unwrap_err();
    assert_eq!(error, "v1.json holds no payload, so that it proves nothing; add one");
    let error = File::holding(&json!([{"kind": "note", "payload": 1, "gon": []}])).check(&[], false).unwrap_err();
    assert!(error.contains("unknown field `gon`"), "{error}");
}

#[test]
fn a_sample_is_recorded_once_and_on_demand_only() {
    let file = File::new();
    assert!(file.check(&[sample("a")], false).is_err());
    assert!(!file.path().exists());
    assert_eq!(file.check(&[sample("a")], true), Ok(()));
    let recorded = file.text();
    assert_eq!(file.check(&[sample("a")], true), Ok(()));
    assert_eq!(file.text(), recorded);
    let error = file.check(&[sample("a"), sample("b")], false).unwrap_err();
    assert_eq!(
        error,
        "v1.json lacks these samples; set UPDATE_PAYLOADS=1 once to record them:\n  \"note\" {\"copies\":1,\"to\":\"b\"}"
    );
}

#[test]
fn recording_keeps_what_was_recorded_and_still_checks_it() {
    let broken = json!({"kind": "note", "payload": {"copies": 7}});
    let file = File::holding(&json!([broken]));
    assert!(file.check(&[sample("a")], true).unwrap_err().contains("missing field `to`"));
    let entries: serde_json::Value = serde_json::from_str(&file.text()).unwrap();
    assert_eq!(entries, json!([broken, {"kind": "note", "payload": {"to": "a", "copies": 1}}]));
}
