//! `#[derive(Event)]`: reads `#[event(…)]`, checks it, and writes the code.

mod check;
mod expand;
mod field;
mod options;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::mistake::Mistakes;
use crate::{attr, root};

/// What a right attribute may say, for messages.
const EXAMPLE: &str = "topic = \"member.updated\"";

/// Writes the code of one event, or what is wrong with it.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let fields = field::read(input, &mut mistakes);
    let entries = attr::read(&input.attrs, "event", EXAMPLE, &mut mistakes);
    let options = options::Options::of(&entries, &mut mistakes);
    check::options(input, &fields, &options, &mut mistakes);
    let root = root::find(options.root.as_ref(), "event", &mut mistakes);
    let event = expand::Event { input, fields: &fields, options: &options, root: &root };
    if mistakes.is_empty() {
        return event.expand();
    }
    // The stub keeps the rest of the user's code compiling, so that one mistake is one error.
    let mut tokens = event.expand_stub();
    tokens.extend(mistakes.into_tokens());
    tokens
}
