//! Each promise in the guide names tests, and each of these exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The names behind "Tests:" in a guide.
fn promised(guide: &str) -> Vec<String> {
    let lists = guide.split("Tests:").skip(1).filter_map(|rest| rest.split('.').next());
    let names = lists.flat_map(|list| list.split('`').skip(1).step_by(2));
    names.map(str::to_owned).collect()
}

/// The names of all functions in the sources.
fn functions(root: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders: Vec<PathBuf> =
        ["job-schedule", "job-core", "job-macros", "job-worker", "examples"].map(|c| root.join(c)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                names.extend(functions_of(&fs::read_to_string(path).expect("a source")));
            }
        }
    }
    names
}

fn functions_of(source: &str) -> Vec<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let after = source.split("fn ").skip(1);
    after.map(|rest| rest.chars().take_while(|c| is_name(*c)).collect()).collect()
}

#[test]
fn each_promise_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository");
    let guide = fs::read_to_string(root.join("job-core/docs/guarantees.md")).expect("the guide");
    let promises = guide.split("## Limits").next().expect("a part before the limits");
    let promised = promised(promises);
    let functions = functions(root);
    let missing: Vec<&String> = promised.iter().filter(|name| !functions.contains(*name)).collect();
    assert!(missing.is_empty(), "named in the guide and not to be found: {missing:?}");
    let paragraphs = promises.split("\n\n").filter(|paragraph| paragraph.starts_with("**"));
    let unproved: Vec<&str> = paragraphs.filter(|p| !p.contains("Tests: `")).collect();
    assert!(unproved.is_empty(), "promised without a test: {unproved:?}");
}

#[test]
fn the_check_sees_a_name_that_is_not_there() {
    assert_eq!(promised("**A.** b\nTests: `one`,\n`two`. c\n\n**C.**\nTests: `three`."), ["one", "two", "three"]);
    assert_eq!(functions_of("async fn one() {}\nfn two<T>() {}"), ["one", "two"]);
}
