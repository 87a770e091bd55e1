//! The progress bar: on stderr, and only where that is a terminal.

use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

/// Shows how far the jobs are; cloning it is cheap, and clones share the bar.
#[derive(Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Begins to show that none of `jobs` jobs is done.
    pub(crate) fn new(jobs: usize) -> Self {
        let bar = ProgressBar::new(jobs as u64);
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}").expect("the template is valid");
        bar.set_style(style);
        Self(bar)
    }

    /// Shows which file is being made.
    pub(crate) fn show(&self, file: &Path) {
        let name = file.file_name().unwrap_or(file.as_os_str());
        self.0.set_message(name.to_string_lossy().into_owned());
    }

    /// Moves on by one job that is done or dead.
    pub(crate) fn advance(&self) {
        // Jobs that others enqueued come on top.
        if Some(self.0.position()) >= self.0.length() {
            self.0.inc_length(1);
        }
        self.0.inc(1);
    }

    /// Prints a line to stderr, above the bar where there is one.
    pub(crate) fn print(&self, line: &str) {
        self.0.suspend(|| eprintln!("{line}"));
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.0.finish_and_clear();
    }
}
