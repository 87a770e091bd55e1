//! Finds the path by which the user's crate knows job-core: under its own name, another one, or through job-worker.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Ident, Span};
use syn::{Path, parse_quote};

use crate::mistake::Mistakes;

/// Returns the path of the crate whose `__private` the expansion uses.
pub(crate) fn find(given: Option<&Path>, attribute: &str, mistakes: &mut Mistakes) -> Path {
    if let Some(path) = given {
        return path.clone();
    }
    // job-core before job-worker: a crate that has both names the smaller one.
    let found = [("job-core", "job_core"), ("job-worker", "job_worker")]
        .into_iter()
        .find_map(|(package, itself)| crate_name(package).ok().map(|found| absolute(found, itself)));
    found.unwrap_or_else(|| {
        mistakes.push(
            Span::call_site(),
            format!(
                "found neither job-core nor job-worker in Cargo.toml; add one, or say where it is: \
                 #[{attribute}(crate = ::path)]"
            ),
        );
        parse_quote!(::job_core)
    })
}

fn absolute(found: FoundCrate, itself: &str) -> Path {
    let name = match found {
        // The crate names itself by `extern crate self as …`: `crate` would be wrong in its tests and examples.
        FoundCrate::Itself => itself.to_owned(),
        FoundCrate::Name(name) => name,
    };
    let name = Ident::new(&name, Span::call_site());
    parse_quote!(::#name)
}
