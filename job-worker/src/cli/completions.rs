//! `completions`: the script by which a shell completes commands and flags.

use std::path::Path;

use clap::CommandFactory;

use crate::cli::args::{Args, CompletionsFlags};
use crate::cli::output::print_bytes;

pub(super) fn print(flags: &CompletionsFlags) {
    let mut command = Args::command();
    // The program as it was called: a worker of one's own has a name of its own.
    let called = std::env::args_os().next();
    let name = called.as_deref().map(Path::new).and_then(Path::file_name);
    let name = name.map_or_else(|| command.get_name().to_owned(), |name| name.to_string_lossy().into_owned());
    let mut script = Vec::new();
    clap_complete::generate(flags.shell, &mut command, name, &mut script);
    print_bytes(&script);
}
