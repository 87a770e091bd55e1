//! The paths that a source names, with the groups of its imports spelt out.

use crate::token::{Token, after_group};

/// A path such as `crate::clock::Clock`; the last segment of a glob is `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedPath {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// The modules, written into the file, around the place where it stands.
    pub(crate) inline: Vec<String>,
}

impl NamedPath {
    /// Says whether these segments stand in the path, one after the other.
    pub(crate) fn has(&self, segments: &[&str]) -> bool {
        self.segments.windows(segments.len()).any(|window| window == segments)
    }

    /// Says whether the path ends with these segments.
    pub(crate) fn ends_with(&self, segments: &[&str]) -> bool {
        self.segments.len() >= segments.len() && self.segments[self.segments.len() - segments.len()..] == *segments
    }
}

/// Returns the paths of a source, in the order in which they stand there.
pub(crate) fn paths(tokens: &[Token]) -> Vec<NamedPath> {
    let mut paths = Vec::new();
    let mut inline: Vec<(String, usize)> = Vec::new();
    let mut read_until = 0;
    for at in 0..tokens.len() {
        inline.retain(|(_, end)| *end > at);
        if let Some(module) = inline_module(tokens, at) {
            inline.push(module);
        }
        if at >= read_until && begins_path(tokens, at) {
            let names: Vec<String> = inline.iter().map(|(name, _)| name.clone()).collect();
            let mut found = Vec::new();
            read_until = read(tokens, at, &[], &mut found);
            let line = tokens[at].line;
            paths.extend(found.into_iter().map(|segments| NamedPath { segments, line, inline: names.clone() }));
        }
    }
    paths
}

/// Returns the name of the module whose body begins after this token, and where it ends.
fn inline_module(tokens: &[Token], at: usize) -> Option<(String, usize)> {
    let has_body = tokens[at].text == "mod" && tokens.get(at + 2)?.text == "{";
    has_body.then(|| (tokens[at + 1].text.clone(), after_group(tokens, at + 2)))
}

fn begins_path(tokens: &[Token], at: usize) -> bool {
    // `$crate` is the crate of the macro, wherever it is used.
    let is_inside = at > 0 && matches!(tokens[at - 1].text.as_str(), "::" | "$");
    tokens[at].is_ident && !is_inside
}

/// Reads the path, or the tree of an import, that begins at `at`, and returns the place after it.
fn read(tokens: &[Token], at: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut segments = prefix.to_vec();
    let mut at = at;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "{" => return read_group(tokens, at, &segments, found),
            "*" => segments.push("*".into()),
            // `a::{self}` is `a`.
            "self" if !segments.is_empty() => {}
            text if token.is_ident => segments.push(text.into()),
            _ => break,
        }
        if tokens.get(at + 1).is_none_or(|next| next.text != "::") {
            break;
        }
        at += 2;
    }
    found.push(segments);
    at + 1
}

fn read_group(tokens: &[Token], open: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let end = after_group(tokens, open);
    let mut at = open + 1;
    while at < end - 1 {
        // What is left of an item after its path is a comma, or `as` and a name.
        let is_start = matches!(tokens[at - 1].text.as_str(), "{" | ",");
        at = if is_start { read(tokens, at, prefix, found) } else { at + 1 };
    }
    end
}
