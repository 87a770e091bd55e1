//! Follows the pages that a newcomer follows, to the letter: makes their files in an empty folder, runs their commands,
//! and compares what those print.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::page::{Page, Step, blurred};

mod page;

#[test]
fn the_readme_works_in_an_empty_folder() {
    follow("README.md", 2, 1);
}

#[test]
fn getting_started_works_in_an_empty_folder() {
    follow("job-core/docs/getting-started.md", 7, 2);
}

/// Does what a page says. `files` and `runs` are what it is known to have, so that a page whose form changes does not
/// pass unread.
fn follow(path: &str, files: usize, runs: usize) {
    let page = Page::parse(&std::fs::read_to_string(root().join(path)).expect("the page is there"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The versions of this workspace are downloaded; others may not be.
    std::fs::copy(root().join("Cargo.lock"), folder.path().join("Cargo.lock")).expect("the lock file");
    for step in &page.steps {
        match step {
            Step::File { path, text } => write(&folder.path().join(path), text),
            Step::Run { commands, expected } => {
                let printed = run(folder.path(), commands);
                assert_eq!(blurred(&printed), blurred(expected), "{commands}");
            }
        }
    }
    let is_file = |step: &&Step| matches!(step, Step::File { .. });
    assert_eq!(page.steps.iter().filter(is_file).count(), files, "files of {path}");
    assert_eq!(page.steps.len() - files, runs, "runs of {path}");
}

fn write(path: &Path, text: &str) {
    // The clone that a page expects beside its folder is where this test is.
    let text = text.replace("../jobs/", &format!("{}/", root().display()));
    std::fs::create_dir_all(path.parent().expect("it is within the folder")).expect("writable");
    std::fs::write(path, text).expect("writable");
}

fn run(folder: &Path, commands: &str) -> String {
    let output = Command::new("sh")
        .args(["-ec", commands])
        .current_dir(folder)
        .env("CARGO_NET_OFFLINE", "true")
        .env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("newcomer"))
        .output()
        .expect("there is a shell");
    assert!(output.status.success(), "{commands}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the programs print text")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate is in the workspace").to_owned()
}
