//! One file of source: where it stands in its crate, and which of its code is product and which is test.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::path::{NamedPath, paths};
use crate::token::{Token, after_group, matches_at, tokens};

/// A file, read and taken apart.
pub(crate) struct Source {
    /// Its path from the root of the workspace, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// The crate that it is compiled into, and its module there; `None` for tests and build scripts.
    pub(crate) place: Option<Place>,
    pub(crate) product: Code,
    pub(crate) test: Code,
    /// How many of its lines are tests.
    pub(crate) test_lines: usize,
}

/// Where a file stands: `job-core/src/client/enqueue.rs` is the module `client::enqueue` of the root `job-core/src`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) root: String,
    /// Empty for the crate's own root.
    pub(crate) module: Vec<String>,
}

/// Some of a file's code.
#[derive(Default)]
pub(crate) struct Code {
    pub(crate) tokens: Vec<Token>,
    pub(crate) paths: Vec<NamedPath>,
}

impl Source {
    /// Takes a file apart.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let all = tokens(path, text);
        let (product, test, test_lines) = if is_test(path) { (Vec::new(), all, 0) } else { split(&all) };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            place: place(path),
            product: Code::of(product),
            test: Code::of(test),
            test_lines,
        }
    }

    /// Reads all files of a crate, in the order of their paths.
    pub(crate) fn read_all(root: &Path, name: &str) -> io::Result<Vec<Self>> {
        let mut paths = Vec::new();
        list(&root.join(name), &mut paths)?;
        paths.sort();
        let read = |path: &PathBuf| {
            let relative = path.strip_prefix(root).unwrap_or(path);
            Ok(Self::new(&relative.to_string_lossy().replace('\\', "/"), &fs::read_to_string(path)?))
        };
        paths.iter().map(read).collect()
    }

    /// True when the whole file is test code.
    pub(crate) fn is_test(&self) -> bool {
        is_test(&self.path)
    }
}

impl Code {
    fn of(tokens: Vec<Token>) -> Self {
        let paths = paths(&tokens);
        Self { tokens, paths }
    }
}

fn list(folder: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            // The mistakes of the UI tests are no house of ours.
            if !path.ends_with("target") && !path.ends_with("tests/ui") {
                list(&path, paths)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

fn is_test(path: &str) -> bool {
    let mut folders = path.split('/');
    let file = folders.next_back().unwrap_or_default();
    file == "tests.rs" || folders.any(|folder| folder == "tests" || folder == "benches")
}

fn place(path: &str) -> Option<Place> {
    if is_test(path) {
        return None;
    }
    let (package, file) = path.split_once("/src/")?;
    let mut module: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
    let mut root = format!("{package}/src");
    // Each program is a crate of its own: `bin/a.rs`, or the folder `bin/a` around its `main.rs`.
    if module[0] == "bin" {
        root = format!("{root}/bin/{}", module[1]);
        module.drain(..2);
    } else if file == "main.rs" {
        root.push_str("/main.rs");
    }
    if module.last().is_some_and(|last| last == "mod" || last == "lib" || last == "main") {
        module.pop();
    }
    Some(Place { root, module })
}

/// Parts the items under `#[cfg(test)]` from the rest, and counts their lines.
fn split(all: &[Token]) -> (Vec<Token>, Vec<Token>, usize) {
    let (mut product, mut test, mut lines) = (Vec::new(), Vec::new(), 0);
    let mut at = 0;
    while at < all.len() {
        if !matches_at(all, at, &["#", "[", "cfg", "(", "test", ")", "]"]) {
            product.push(all[at].clone());
            at += 1;
            continue;
        }
        let end = after_item(all, at + 7);
        lines += all[end - 1].line - all[at].line + 1;
        test.extend_from_slice(&all[at..end]);
        at = end;
    }
    (product, test, lines)
}

/// Returns the place after an item: after its first body, or its semicolon.
fn after_item(tokens: &[Token], start: usize) -> usize {
    let mut at = start;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            ";" => return at + 1,
            "{" => return after_group(tokens, at),
            "(" | "[" => at = after_group(tokens, at),
            _ => at += 1,
        }
    }
    at
}
