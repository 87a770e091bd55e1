//! Reads a page of Markdown as a list of things to do.
//!
//! A fenced block behind a line such as "`src/main.rs`:" is a file. A block of `sh` is to be run; a block of `text`
//! right behind it is what it prints. Other blocks are for people.

/// What a page tells its reader to do, in order.
pub(crate) struct Page {
    pub(crate) steps: Vec<Step>,
}

/// One thing to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// Make this file.
    File { path: String, text: String },
    /// Run these lines of shell; they print this.
    Run { commands: String, expected: String },
}

impl Page {
    pub(crate) fn parse(markdown: &str) -> Self {
        let mut steps = Vec::new();
        // The line above a block, and whether a run's output may follow.
        let (mut above, mut is_behind_run) = ("", false);
        let mut lines = markdown.lines();
        while let Some(line) = lines.next() {
            let Some(language) = line.strip_prefix("```") else {
                if !line.trim().is_empty() {
                    (above, is_behind_run) = (line, false);
                }
                continue;
            };
            let text: String = lines.by_ref().take_while(|l| *l != "```").map(|l| format!("{l}\n")).collect();
            match (language, steps.last_mut()) {
                ("text", Some(Step::Run { expected, .. })) if is_behind_run => *expected = text,
                ("sh", _) => steps.push(Step::Run { commands: text, expected: String::new() }),
                _ => steps.extend(file(above).map(|path| Step::File { path, text })),
            }
            is_behind_run = language == "sh";
            above = "";
        }
        Self { steps }
    }
}

fn file(above: &str) -> Option<String> {
    let (path, _) = above.strip_prefix('`')?.split_once("`:")?;
    Some(path.to_owned())
}

/// Returns the text with what differs from run to run made alike: long numbers, the width of columns, and the order of
/// the lines, as jobs have none.
pub(crate) fn blurred(text: &str) -> String {
    let word = |word: &str| {
        let is_long_number = word.len() > 1 && word.bytes().all(|b| b.is_ascii_digit());
        if is_long_number { "N".to_owned() } else { word.to_owned() }
    };
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = text.lines().map(line).collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn a_page_is_read_as_files_and_runs() {
    let markdown = "# Title\n\n`src/main.rs`: <!-- why -->\n\n```rust,no_run\nfn main() {}\n```\n\nprose\n\n```rust\nlet x;\n```\n\n\
                    ```sh\ncargo run\n```\n\n```text\nhello\n```\n\n```text\nno output\n```\n";
    let expected = [
        Step::File { path: "src/main.rs".into(), text: "fn main() {}\n".into() },
        Step::Run { commands: "cargo run\n".into(), expected: "hello\n".into() },
    ];
    assert_eq!(Page::parse(markdown).steps, expected);
}

#[test]
fn only_what_differs_from_run_to_run_is_blurred() {
    assert_eq!(blurred("QUEUE  AGE\nmail   1834\n"), blurred("QUEUE AGE\nmail  97\n"));
    assert_eq!(blurred("hello, Ada\nhello, Grace"), blurred("hello, Grace\nhello, Ada"));
    assert_ne!(blurred("mail  2  1834"), blurred("mail  3  1834"));
    assert_ne!(blurred("mail  2  1834"), blurred("mail  2  -"));
}
