//! Breaks each rule on purpose: a rule that does not report its made-up source is asleep.

use crate::source::Source;

const LIB: &str = "job-core/src/lib.rs";
const TEST: &str = "job-core/tests/a.rs";
const EXAMPLE: &str = "examples/src/bin/a.rs";

/// Checks made-up files, and asserts exactly the reported offences.
fn check(files: &[(&str, &str)], expected: &[&str]) {
    let sources: Vec<Source> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
    let offences: Vec<String> = crate::check(&sources).iter().map(ToString::to_string).collect();
    assert_eq!(offences, expected, "{files:#?}");
}

/// Checks code that stands below the `//!` line of a file, from its second line on.
fn check_code(path: &str, code: &str, expected: &[&str]) {
    check(&[(path, &format!("//! A file.\n{code}"))], expected);
}

/// Checks modules below a crate's root that lists `a` below `b` and `c`.
fn check_modules(files: &[(&str, &str)], expected: &[&str]) {
    let mut all = vec![(LIB, "//! A crate.\n\n// Ranks, lowest first:\n//   a\n//   b c\n\nmod a;\n//   d\n")];
    let rest = ["a", "b", "c"].map(|name| format!("job-core/src/{name}.rs"));
    all.extend(rest.iter().filter(|p| files.iter().all(|f| f.0 != *p)).map(|p| (p.as_str(), "//! A file.\n")));
    all.extend(files);
    check(&all, expected);
}

#[test]
fn a_first_line_of_another_kind_is_reported() {
    let expected = "the first line is not a `//!` line that says what the file is for";
    for text in ["", "use std::fmt;\n", "// A file.\n", "\n//! A file.\n"] {
        check(&[(TEST, text)], &[&format!("{TEST}:1: {expected}")]);
    }
    check(&[(TEST, "//! A file.\n")], &[]);
}

#[test]
fn a_line_too_many_is_reported_and_tests_do_not_count() {
    let lines = |count: usize| "// A line.\n".repeat(count);
    let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(500));
    let expected = "401 lines without tests, 400 are allowed; split it by responsibility";
    check_code(LIB, &(lines(399) + &tests), &[]);
    check_code(LIB, &(lines(400) + &tests), &[&format!("{LIB}:1: {expected}")]);
    check_code(TEST, &lines(500), &[]);
    check_code("job-core/src/a/tests.rs", &lines(500), &[]);
}

#[test]
fn reading_the_time_is_reported_except_in_the_clock() {
    for (code, name) in [
        ("fn f() { let _ = Instant::now(); }", "Instant::now"),
        ("fn f() { let _ = std::time::SystemTime::now(); }", "std::time::SystemTime::now"),
        ("fn f() { let _ = Utc::now(); }", "Utc::now"),
        ("fn f() { let _ = chrono::Local::now(); }", "chrono::Local::now"),
        ("use tokio::time::sleep;", "tokio::time::sleep"),
        ("use tokio::{sync, time};", "tokio::time"),
        ("fn f() { std::thread::sleep(D); }", "std::thread::sleep"),
        ("fn f() { let _ = Uuid::now_v7(); }", "Uuid::now_v7"),
        ("fn f(start: Instant) { let _ = start.elapsed(); }", ".elapsed()"),
    ] {
        check_code(LIB, code, &[&format!("{LIB}:2: `{name}` reads the time; take it from the clock")]);
        check_code(EXAMPLE, code, &[]);
        let clock = format!("//! A file.\n{code}");
        let root = "//! A crate.\n// Ranks, lowest first:\n//   clock\n";
        check(&[(LIB, root), ("job-core/src/clock.rs", &clock)], &[]);
    }
    check_code(LIB, "// Instant::now\nconst A: &str = \"Utc::now()\";\nuse std::time::{Duration, Instant};", &[]);
}

#[test]
fn a_test_that_sleeps_is_reported() {
    let expected = "waits blindly; await an observation, or move the harness's clock";
    for (code, name) in [
        ("fn f() { std::thread::sleep(D); }", "std::thread::sleep"),
        ("async fn f() { tokio::time::sleep(D).await; }", "tokio::time::sleep"),
        ("use tokio::time::sleep_until;", "tokio::time::sleep_until"),
    ] {
        check_code(TEST, code, &[&format!("{TEST}:2: `{name}` {expected}")]);
        let inner = format!("#[cfg(test)]\nmod tests {{\n{code}\n}}");
        check_code(LIB, &inner, &[&format!("{LIB}:4: `{name}` {expected}")]);
        check_code(EXAMPLE, &inner, &[&format!("{EXAMPLE}:4: `{name}` {expected}")]);
    }
    check_code(TEST, "async fn f(clock: Clock) { clock.sleep(D).await; Instant::now(); }", &[]);
}

#[test]
fn unwrap_outside_tests_is_reported() {
    let code = "fn f() {\n    g().unwrap();\n}";
    for path in [LIB, EXAMPLE] {
        let expected = format!("{path}:3: `unwrap` outside tests; return the error, or `expect` the invariant");
        check_code(path, code, &[&expected]);
    }
    check_code(TEST, code, &[]);
    check_code(LIB, "fn f() { g().unwrap_or(1); }\n#[cfg(test)]\nfn g() { f().unwrap(); }", &[]);
}

#[test]
fn unfinished_code_and_dishonest_tests_are_reported_everywhere() {
    for (code, expected) in [
        ("fn f() { todo!() }", "`todo!` marks unfinished code"),
        ("fn f() { unimplemented!(\"x\") }", "`unimplemented!` marks unfinished code"),
        ("#[ignore] fn f() {}", "an ignored test proves nothing"),
        ("#[ignore = \"slow\"] fn f() {}", "an ignored test proves nothing"),
        ("#[should_panic] fn f() {}", "`should_panic` takes any panic for the right one; assert the error"),
    ] {
        for path in [LIB, TEST, EXAMPLE] {
            check_code(path, code, &[&format!("{path}:2: {expected}")]);
        }
    }
}

#[test]
fn imports_of_everything_are_reported() {
    for (code, name) in [
        ("use std::fmt::*;", "std::fmt::*"),
        ("use std::{fmt, io::*};", "std::io::*"),
        ("use std::{fmt::{self, *}};", "std::fmt::*"),
    ] {
        for path in [LIB, TEST] {
            check_code(path, code, &[&format!("{path}:2: `{name}` imports everything; name what is used")]);
        }
    }
    check_code(LIB, "use super::*;", &[&format!("{LIB}:2: `super::*` imports everything; name what is used")]);
    check_code(LIB, "use a::prelude::*;\n#[cfg(test)]\nmod tests { use super::*; }", &[]);
}

#[test]
fn climbing_two_floors_is_reported() {
    let expected = "`super::super` climbs two floors; write the path from `crate`";
    check_code(TEST, "use super::super::a;", &[&format!("{TEST}:2: {expected}")]);
    check_code(TEST, "use super::{a, super::b};", &[&format!("{TEST}:2: {expected}")]);
    check_code(TEST, "use super::a;", &[]);
}

#[test]
fn an_import_of_an_equal_or_higher_rank_is_reported() {
    for (file, code, expected) in [
        ("a", "use crate::b::B;", Some("`a` imports `b`")),
        ("b", "use crate::c::C;", Some("`b` imports `c`")),
        ("b", "use crate::{a::A, c::C};", Some("`b` imports `c`")),
        ("a", "use super::b::B;", Some("`a` imports `b`")),
        ("a", "fn f() { crate::b::g(); }", Some("`a` imports `b`")),
        ("a", "mod inner { use crate::b::B; }", Some("`a` imports `b`")),
        ("a", "macro_rules! m { () => { crate::b::g() }; }", Some("`a` imports `b`")),
        ("a/child", "use crate::b::B;", Some("`a` imports `b`")),
        ("b", "use crate::a::A;", None),
        ("b/child", "use crate::a::A;\nuse super::B;\nuse crate::b::C;", None),
        ("a", "mod inner { use super::b; }", None),
        ("a", "macro_rules! m { () => { $crate::b::g() }; }", None),
        ("a", "#[cfg(test)]\nmod tests { use crate::b::B; }", None),
    ] {
        let path = format!("job-core/src/{file}.rs");
        let expected = expected.map(|text| format!("{path}:2: {text}, which does not have a lower rank"));
        let expected: Vec<&str> = expected.as_deref().into_iter().collect();
        check_modules(&[(&path, &format!("//! A file.\n{code}"))], &expected);
    }
}

#[test]
fn an_import_from_the_root_is_reported() {
    let text = "//! A file.\nuse crate::Error;\n";
    let expected = "job-core/src/b.rs:2: `Error` is imported from the crate's root; name the module that it lives in";
    check_modules(&[("job-core/src/b.rs", text)], &[expected]);
}

#[test]
fn siblings_that_import_each_other_in_a_circle_are_reported() {
    let one = ("job-core/src/b/one.rs", "//! A file.\nuse crate::b::two::Two;\n");
    let two = ("job-core/src/b/two.rs", "//! A file.\nuse crate::b::three::Three;\n");
    let three = ("job-core/src/b/three.rs", "//! A file.\nuse super::one::One;\n");
    let expected = "these modules import each other in a circle: b::one -> b::two -> b::three -> b::one";
    check_modules(&[one, two, three], &[&format!("{LIB}:1: {expected}")]);
    check_modules(&[one, two, ("job-core/src/b/three.rs", "//! A file.\n")], &[]);
}

#[test]
fn a_table_that_does_not_fit_the_modules_is_reported() {
    let root = "//! A crate.\n// Ranks, lowest first:\n//   a\n";
    let expected = [
        format!("{LIB}:1: the module `b` is not in the table \"// Ranks, lowest first\""),
        format!("{LIB}:1: the table of ranks lists `a`, which is no module"),
    ];
    check(&[(LIB, root), ("job-core/src/b.rs", "//! A file.\n")], &[&expected[0], &expected[1]]);
}

#[test]
fn each_program_has_ranks_of_its_own() {
    let root = ("examples/src/bin/a/main.rs", "//! A program.\n// Ranks, lowest first:\n//   x\n//   y\n");
    let x = ("examples/src/bin/a/x.rs", "//! A file.\nuse crate::y::Y;\n");
    let y = ("examples/src/bin/a/y.rs", "//! A file.\nuse crate::x::X;\n");
    let library = ("examples/src/lib.rs", "//! A crate.\n");
    let expected = "examples/src/bin/a/x.rs:2: `x` imports `y`, which does not have a lower rank";
    check(&[library, root, x, y], &[expected]);
}
