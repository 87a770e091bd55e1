//! Who may import whom: a module imports only modules of lower ranks, and the children of a module form no cycle.
//!
//! The root of a crate lists the ranks of its modules in a comment, lowest first, one rank a line:
//!
//! ```text
//! // Ranks, lowest first: …
//! //   error
//! //   name trace
//! ```
//! Within a folder, children import what lies above them in the folder, and each other as long as no cycle appears;
//! a module may use its own children. Tests import whom they like.

use std::collections::{BTreeMap, BTreeSet};

use crate::cycle::{Edges, find};
use crate::offence::Offence;
use crate::path::NamedPath;
use crate::source::{Place, Source};

const TABLE: &str = "// Ranks, lowest first";

/// Checks the ranks of every crate among the sources.
pub(crate) fn check(sources: &[Source]) -> Vec<Offence> {
    let mut crates: BTreeMap<&str, Vec<(&Source, &Place)>> = BTreeMap::new();
    for source in sources {
        if let Some(place) = &source.place {
            crates.entry(&place.root).or_default().push((source, place));
        }
    }
    crates.values().flat_map(|files| Crate::new(files).check()).collect()
}

struct Crate<'a> {
    files: &'a [(&'a Source, &'a Place)],
    modules: BTreeSet<&'a [String]>,
    /// The root's path, and the rank of each module that its table lists.
    root: &'a str,
    ranks: BTreeMap<&'a str, usize>,
}

impl<'a> Crate<'a> {
    fn new(files: &'a [(&'a Source, &'a Place)]) -> Self {
        let root = files.iter().find(|(_, place)| place.module.is_empty()).map(|(source, _)| *source);
        Self {
            files,
            modules: files.iter().map(|(_, place)| place.module.as_slice()).collect(),
            root: root.map_or("", |source| &source.path),
            ranks: root.map(|source| table(&source.text)).unwrap_or_default(),
        }
    }

    fn check(&self) -> Vec<Offence> {
        let mut offences = self.check_table();
        let mut edges = Edges::new();
        for (source, place) in self.files.iter().filter(|(_, place)| !place.module.is_empty()) {
            for path in &source.product.paths {
                if let Err(text) = self.check_path(place, path, &mut edges) {
                    offences.push(Offence::new(&source.path, path.line, text));
                }
            }
        }
        offences.extend(
            find(&edges).into_iter().map(|cycle| {
                Offence::new(self.root, 1, format!("these modules import each other in a circle: {cycle}"))
            }),
        );
        offences
    }

    /// Every module has a rank, and every rank a module.
    fn check_table(&self) -> Vec<Offence> {
        let modules: BTreeSet<&str> = self.modules.iter().filter_map(|m| m.first()).map(String::as_str).collect();
        let listed: BTreeSet<&str> = self.ranks.keys().copied().collect();
        let missing = modules.difference(&listed).map(|m| format!("the module `{m}` is not in the table \"{TABLE}\""));
        let stale = listed.difference(&modules).map(|m| format!("the table of ranks lists `{m}`, which is no module"));
        missing.chain(stale).map(|text| Offence::new(self.root, 1, text)).collect()
    }

    fn check_path(&self, place: &Place, path: &NamedPath, edges: &mut Edges) -> Result<(), String> {
        let Some(absolute) = absolute(place, path) else { return Ok(()) };
        let from = place.module.as_slice();
        let to = self.module_of(&absolute);
        let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
        match (from.get(shared), to.get(shared)) {
            // The module itself, one above it in its folder, or one of its own children.
            (None, _) | (Some(_), None) if shared > 0 => Ok(()),
            (_, None) => {
                let name = absolute.last().map_or("", String::as_str);
                Err(format!("`{name}` is imported from the crate's root; name the module that it lives in"))
            }
            (Some(child), Some(sibling)) if shared > 0 => {
                let parent = from[..shared].join("::");
                edges.entry(format!("{parent}::{child}")).or_default().insert(format!("{parent}::{sibling}"));
                Ok(())
            }
            _ => self.check_ranks(&from[0], &to[0]),
        }
    }

    fn check_ranks(&self, from: &str, to: &str) -> Result<(), String> {
        match (self.ranks.get(from), self.ranks.get(to)) {
            (Some(own), Some(other)) if other >= own => {
                Err(format!("`{from}` imports `{to}`, which does not have a lower rank"))
            }
            // A module without a rank is an offence of the table.
            _ => Ok(()),
        }
    }

    /// Returns the module of a path: its longest beginning that is one.
    fn module_of<'p>(&self, path: &'p [String]) -> &'p [String] {
        let lengths = (0..=path.len()).rev();
        lengths.map(|length| &path[..length]).find(|start| self.modules.contains(start)).unwrap_or(&[])
    }
}

/// Returns the path from the crate's root; `None` for one that leads out of the crate or to a name in scope.
fn absolute(place: &Place, path: &NamedPath) -> Option<Vec<String>> {
    let mut base: Vec<String> = [place.module.as_slice(), path.inline.as_slice()].concat();
    let (first, rest) = path.segments.split_first()?;
    if rest.is_empty() {
        return None;
    }
    match first.as_str() {
        "crate" => base.clear(),
        "self" => {}
        "super" => drop(base.pop()),
        _ => return None,
    }
    base.extend_from_slice(rest);
    Some(base)
}

/// Reads the ranks from the comment of a crate's root.
fn table(text: &str) -> BTreeMap<&str, usize> {
    let lines = text.lines().skip_while(|line| !line.starts_with(TABLE)).skip(1);
    let ranks = lines.map_while(|line| line.strip_prefix("//   ")).enumerate();
    ranks.flat_map(|(rank, line)| line.split_whitespace().map(move |name| (name, rank))).collect()
}
