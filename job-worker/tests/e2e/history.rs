//! What the fixture's jobs wrote down, and the checks of it: nothing lost, no gap in the attempts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

#[derive(Debug, Default)]
pub(crate) struct History {
    starts: BTreeMap<String, Vec<u32>>,
    ends: BTreeMap<String, u32>,
    /// Which process ran a job last.
    processes: BTreeMap<String, u32>,
    lines: usize,
}

impl History {
    /// Reads what the processes wrote down.
    pub(crate) fn read(path: &Path) -> Self {
        Self::parse(&text(path))
    }

    fn parse(text: &str) -> Self {
        let mut history = Self::default();
        for line in text.lines() {
            let [what, id, attempt, process] = line.split(' ').collect::<Vec<_>>()[..] else {
                panic!("a torn line in the history: {line:?}");
            };
            history.lines += 1;
            history.processes.insert(id.into(), process.parse().expect("a number"));
            match what {
                "start" => history.starts.entry(id.into()).or_default().push(attempt.parse().expect("a number")),
                "end" => *history.ends.entry(id.into()).or_default() += 1,
                _ => {}
            }
        }
        history
    }

    pub(crate) fn lines(&self) -> usize {
        self.lines
    }

    /// How many jobs ended.
    pub(crate) fn ended(&self) -> usize {
        self.ends.len()
    }

    /// How many runs began.
    pub(crate) fn runs(&self) -> usize {
        self.starts.values().map(Vec::len).sum()
    }

    pub(crate) fn has_started(&self, id: &str) -> bool {
        self.starts.contains_key(id)
    }

    pub(crate) fn process_of(&self, id: &str) -> Option<u32> {
        self.processes.get(id).copied()
    }

    /// How often runs ended that had ended before.
    pub(crate) fn duplicates(&self) -> u32 {
        self.ends.values().map(|n| n - 1).sum()
    }

    /// The attempts of a job's runs, as they began.
    pub(crate) fn attempts(&self, id: &str) -> &[u32] {
        self.starts.get(id).map_or(&[], Vec::as_slice)
    }

    /// Says what is wrong with the history, when exactly these jobs were stored.
    pub(crate) fn faults(&self, stored: &[String]) -> Vec<String> {
        let mut faults = self.faults_of(stored);
        let phantoms = self.starts.keys().filter(|id| !stored.contains(id));
        faults.extend(phantoms.map(|id| format!("{id} ran and was never stored")));
        faults
    }

    /// Says what is wrong with the history of these jobs, all of which were stored.
    pub(crate) fn faults_of(&self, stored: &[String]) -> Vec<String> {
        let mut faults = Vec::new();
        for id in stored {
            if !self.ends.contains_key(id) {
                faults.push(format!("{id} is lost"));
            }
            let attempts = self.attempts(id);
            let seen: BTreeSet<u32> = attempts.iter().copied().collect();
            let highest = u32::try_from(seen.len()).expect("few");
            if !seen.iter().copied().eq(1..=highest) {
                faults.push(format!("{id} has a gap in its attempts: {attempts:?}"));
            }
        }
        faults
    }
}

/// Returns all whole lines that the processes wrote, each in a file of its own beside `path`.
pub(crate) fn text(path: &Path) -> String {
    let name = path.file_name().expect("a file's name").to_string_lossy().into_owned() + ".";
    let entries = std::fs::read_dir(path.parent().expect("a folder")).expect("readable");
    let files = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|file| file.file_name().is_some_and(|file| file.to_string_lossy().starts_with(&name)));
    let mut text = String::new();
    for file in files {
        let whole = String::from_utf8_lossy(&std::fs::read(file).expect("readable")).into_owned();
        // A kill can tear the last line: what it would have said is not known to anybody.
        text.push_str(whole.rfind('\n').map_or("", |end| &whole[..=end]));
    }
    text
}

#[test]
fn the_checker_sees_what_is_wrong() {
    let stored = ["a".to_owned(), "b".to_owned()];
    let check = |text: &str| History::parse(text).faults(&stored).join(", ");
    let good = "start a 1 9\nend a 1 9\nstart b 1 9\nfail b 1 9\nstart b 1 8\nstart b 2 8\nend b 2 8\n";
    assert_eq!(check(good), "");
    assert_eq!(check("start a 1 9\nend a 1 9\nstart b 1 9\n"), "b is lost");
    assert_eq!(check(&good.replace("start b 2", "start b 3")), "b has a gap in its attempts: [1, 1, 3]");
    assert_eq!(check(&format!("{good}start c 1 9\n")), "c ran and was never stored");
}
