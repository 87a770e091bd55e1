//! The guide shows the very programs that these tests run.

use std::collections::BTreeMap;
use std::path::Path;

use crate::host::PROGRAMS;

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../job-core/docs/wire-format.md");

/// Returns the programs of a page: each block of Ruby behind the name of its file.
fn shown(page: &str) -> BTreeMap<String, String> {
    let mut programs = BTreeMap::new();
    let mut above = "";
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if line == "```ruby" {
            let name = above.split('`').nth(1).unwrap_or_else(|| panic!("no name of a file in {above:?}"));
            let text = lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            programs.insert(name.to_owned(), text);
        } else if !line.is_empty() {
            above = line;
        }
    }
    programs
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let named = entries.map(|e| (e.file_name().into_string().unwrap(), std::fs::read_to_string(e.path()).unwrap()));
    named.filter(|(name, _)| name.ends_with(".rb")).collect()
}

#[test]
fn the_guide_shows_the_programs_unchanged() {
    let (shown, files) = (shown(&std::fs::read_to_string(GUIDE).unwrap()), files(Path::new(PROGRAMS)));
    assert_eq!(shown.len(), 5);
    assert_eq!(shown, files);
}

#[test]
fn a_program_that_differs_is_noticed() {
    let page = "`a.rb` sends:\n\n```ruby\nputs 1\n```\n\n```text\nno program\n```\n";
    assert_eq!(shown(page), BTreeMap::from([("a.rb".to_owned(), "puts 1\n".to_owned())]));
}
