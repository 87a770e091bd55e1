//! Finds the circles in a graph of imports.

use std::collections::{BTreeMap, BTreeSet};

/// Who imports whom.
pub(crate) type Edges = BTreeMap<String, BTreeSet<String>>;

/// Returns the circles, each written once, beginning with its first name: `a -> b -> a`.
pub(crate) fn find(edges: &Edges) -> Vec<String> {
    let mut cycles = Vec::new();
    for start in edges.keys() {
        walk(edges, &mut vec![start], &mut BTreeSet::new(), &mut cycles);
    }
    cycles
}

/// Follows the edges to names after the trail's first one, so that a circle is found from its first name only.
fn walk<'a>(edges: &'a Edges, trail: &mut Vec<&'a str>, seen: &mut BTreeSet<&'a str>, cycles: &mut Vec<String>) {
    let (start, last) = (trail[0], trail[trail.len() - 1]);
    for next in edges.get(last).into_iter().flatten().map(String::as_str) {
        if next == start {
            cycles.push(format!("{} -> {start}", trail.join(" -> ")));
        } else if next > start && seen.insert(next) {
            trail.push(next);
            walk(edges, trail, seen, cycles);
            trail.pop();
        }
    }
}
