//! The derive in crates of their own: each is built as a user would, and prints the kinds that it finds.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Builds all fixtures once, and returns the folder of their programs.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let fixtures = here.join("tests/fixtures");
        // The workspace's versions are downloaded; others may not be.
        std::fs::copy(here.join("../Cargo.lock"), fixtures.join("Cargo.lock")).expect("the workspace has a lock file");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fixtures");
        let cargo = Command::new(env!("CARGO"))
            .args(["build", "--offline", "--release", "--workspace", "--manifest-path"])
            .arg(fixtures.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .output()
            .expect("cargo runs this test, so it is there");
        assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
        target.join("release")
    })
}

#[track_caller]
fn check_kinds(program: &str, expected: &[&str]) {
    let run = Command::new(programs().join(program)).output().expect("it was just built");
    assert!(run.status.success(), "{run:?}");
    let output = String::from_utf8(run.stdout).expect("kinds are ASCII");
    assert_eq!(output.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn job_core_and_serde_are_all_it_needs() {
    check_kinds("plain", &["resize", "send_mail"]);
}

#[test]
fn job_core_may_have_another_name() {
    check_kinds("renamed", &["resize", "send_mail"]);
}

#[test]
fn job_core_may_come_through_another_crate() {
    check_kinds("through_facade", &["resize", "send_mail"]);
}

#[test]
fn jobs_of_a_library_survive_the_linker() {
    check_kinds("linked", &["resize", "send_mail"]);
}

#[test]
fn a_library_that_is_never_named_is_not_linked() {
    check_kinds("unlinked", &[]);
}
