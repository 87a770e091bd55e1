//! Reads the sources of all crates and fails on every file that breaks a rule of the house.
//!
//! The rules are what reviewers would otherwise have to see: who may import whom, how long a file is, who reads the
//! time, what a test must not do. `control` breaks each of them on purpose, so that none of them can fall asleep.

use std::collections::BTreeSet;
use std::path::Path;

use crate::offence::Offence;
use crate::source::Source;

mod control;
mod cycle;
mod offence;
mod path;
mod rank;
mod rule;
mod source;
mod token;

const CRATES: [&str; 5] = ["job-schedule", "job-core", "job-macros", "job-worker", "examples"];

#[test]
fn the_sources_keep_the_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sources: Vec<Source> = CRATES.iter().flat_map(|name| Source::read_all(root, name).unwrap()).collect();
    for name in CRATES {
        assert!(sources.iter().any(|s| s.path.starts_with(&format!("{name}/src/"))), "no sources of {name} were read");
    }
    let offences: Vec<String> = check(&sources).iter().map(Offence::to_string).collect();
    assert!(offences.is_empty(), "{} offences against the rules:\n{}", offences.len(), offences.join("\n"));
}

/// Returns what breaks a rule, in the order of files and lines.
fn check(sources: &[Source]) -> BTreeSet<Offence> {
    let mut offences: BTreeSet<Offence> = sources.iter().flat_map(rule::check).collect();
    offences.extend(rank::check(sources));
    offences
}
