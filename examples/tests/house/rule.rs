//! The rules that a file keeps or breaks by itself.

use crate::offence::Offence;
use crate::path::NamedPath;
use crate::source::{Code, Source};
use crate::token::matches_at;

/// Longest file, tests apart.
const LINES_MAX: usize = 400;

/// The only file that reads the time.
const CLOCK: &str = "job-core/src/clock.rs";

/// What reads the time, or waits for it, behind the clock's back.
const TIME: [&[&str]; 9] = [
    &["Instant", "now"],
    &["SystemTime", "now"],
    &["Utc", "now"],
    &["Local", "now"],
    &["tokio", "time"],
    &["thread", "sleep"],
    &["Uuid", "now_v1"],
    &["Uuid", "now_v6"],
    &["Uuid", "now_v7"],
];

/// What lets a test wait blindly.
const SLEEP: [&[&str]; 3] = [&["thread", "sleep"], &["time", "sleep"], &["time", "sleep_until"]];

/// What has no place in finished code or in an honest test.
const UNFINISHED: [(&[&str], &str); 4] = [
    (&["todo", "!"], "`todo!` marks unfinished code"),
    (&["unimplemented", "!"], "`unimplemented!` marks unfinished code"),
    (&["#", "[", "ignore"], "an ignored test proves nothing"),
    (&["#", "[", "should_panic"], "`should_panic` takes any panic for the right one; assert the error"),
];

/// Returns what is wrong with a file, apart from its rank.
pub(crate) fn check(source: &Source) -> Vec<Offence> {
    let mut found = Vec::new();
    found.extend(doc_line(source));
    found.extend(length(source));
    found.extend(clock(source));
    found.extend(sleep(source));
    found.extend(unwrap(source));
    found.extend(unfinished(source));
    found.extend(imports(source));
    found.into_iter().map(|(line, text)| Offence::new(&source.path, line, text)).collect()
}

type Found = (usize, String);

fn doc_line(source: &Source) -> Option<Found> {
    let is_there = source.text.starts_with("//! ");
    (!is_there).then(|| (1, "the first line is not a `//!` line that says what the file is for".into()))
}

fn length(source: &Source) -> Option<Found> {
    let lines = source.text.lines().count() - source.test_lines;
    let is_long = lines > LINES_MAX && !source.is_test();
    is_long.then(|| (1, format!("{lines} lines without tests, {LINES_MAX} are allowed; split it by responsibility")))
}

fn clock(source: &Source) -> Vec<Found> {
    if source.path == CLOCK || source.path.starts_with("examples/") {
        return Vec::new();
    }
    let reads = |path: &&NamedPath| TIME.iter().any(|segments| path.has(segments));
    let paths = source.product.paths.iter().filter(reads);
    let mut found: Vec<Found> = paths.map(|path| (path.line, path.segments.join("::"))).collect();
    // `Instant::elapsed` reads the time, too.
    found.extend(calls(&source.product, "elapsed").map(|line| (line, ".elapsed()".into())));
    found.into_iter().map(|(line, name)| (line, format!("`{name}` reads the time; take it from the clock"))).collect()
}

fn sleep(source: &Source) -> Vec<Found> {
    let sleeps = |path: &&NamedPath| SLEEP.iter().any(|segments| path.ends_with(segments));
    let paths = source.test.paths.iter().filter(sleeps);
    paths
        .map(|path| {
            let name = path.segments.join("::");
            (path.line, format!("`{name}` waits blindly; await an observation, or move the harness's clock"))
        })
        .collect()
}

fn unwrap(source: &Source) -> Vec<Found> {
    let found = calls(&source.product, "unwrap");
    found.map(|line| (line, "`unwrap` outside tests; return the error, or `expect` the invariant".into())).collect()
}

fn unfinished(source: &Source) -> Vec<Found> {
    let codes = [&source.product, &source.test];
    let marks = codes.iter().flat_map(|code| {
        UNFINISHED.iter().flat_map(|(texts, why)| find(code, texts).map(|line| (line, (*why).to_owned())))
    });
    marks.collect()
}

fn imports(source: &Source) -> Vec<Found> {
    let mut found = Vec::new();
    for (code, is_test) in [(&source.product, false), (&source.test, true)] {
        for path in &code.paths {
            let is_open = path.ends_with(&["prelude", "*"]) || (is_test && path.segments == ["super", "*"]);
            if path.ends_with(&["*"]) && path.segments.len() > 1 && !is_open {
                found
                    .push((path.line, format!("`{}` imports everything; name what is used", path.segments.join("::"))));
            }
            if path.has(&["super", "super"]) {
                found.push((path.line, "`super::super` climbs two floors; write the path from `crate`".into()));
            }
        }
    }
    found
}

fn calls<'a>(code: &'a Code, method: &'a str) -> impl Iterator<Item = usize> + 'a {
    let places = 0..code.tokens.len();
    places.filter(move |at| matches_at(&code.tokens, *at, &[".", method, "("])).map(|at| code.tokens[at].line)
}

fn find<'a>(code: &'a Code, texts: &'a [&'a str]) -> impl Iterator<Item = usize> + 'a {
    (0..code.tokens.len()).filter(|at| matches_at(&code.tokens, *at, texts)).map(|at| code.tokens[at].line)
}
