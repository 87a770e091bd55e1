//! `#[derive(Job)]`: turns structs into background jobs.

use proc_macro::TokenStream;

/// Derives `job_core::Job` and registers the type.
#[proc_macro_derive(Job, attributes(job))]
pub fn derive_job(_input: TokenStream) -> TokenStream {
    TokenStream::new()
}
