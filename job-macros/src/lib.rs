//! `#[derive(Job)]`: turns structs into background jobs.

// Ranks, lowest first: a module imports from the lines above its own only. `examples/tests/house` checks it.
//   duration mistake name suggest
//   backoff option_name root
//   attr
//   value
//   options
//   check
//   expand

mod attr;
mod backoff;
mod check;
mod duration;
mod expand;
mod mistake;
mod name;
mod option_name;
mod options;
mod root;
mod suggest;
mod value;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

use crate::expand::Job;
use crate::mistake::Mistakes;
use crate::options::Options;

/// Derives `job_core::Job` and registers the type.
#[proc_macro_derive(Job, attributes(job))]
pub fn derive_job(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let mut mistakes = Mistakes::default();
    check::shape(&input, &mut mistakes);
    let entries = attr::read(&input.attrs, &mut mistakes);
    let options = Options::of(&entries, &mut mistakes);
    check::options(&input, &options, &mut mistakes);
    let root = root::find(options.root.as_ref(), &mut mistakes);
    let job = Job { input: &input, options: &options, root: &root };
    if mistakes.is_empty() {
        return job.expand().into();
    }
    // The stub keeps the rest of the user's code compiling, so that one mistake is one error.
    let mut tokens = job.expand_stub();
    tokens.extend(mistakes.into_tokens());
    tokens.into()
}
