//! Reads `#[job(…)]` and `#[event(…)]` as names and values, without knowing what they mean. After a mistake it goes on behind the next
//! comma, so that one slip hides no other.

use proc_macro2::{Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Attribute, Ident, Lit, Meta, Path, Token, token};

use crate::mistake::Mistakes;

/// One option as it was written.
pub(crate) struct Entry {
    /// Its name.
    pub(crate) name: Ident,
    /// What stands behind the name.
    pub(crate) value: Value,
}

/// What stands behind an option's name.
pub(crate) enum Value {
    /// Nothing: `blocking`.
    None,
    /// A literal: `queue = "mail"`.
    Lit(Lit),
    /// A path: `backoff = policy::slow`.
    Path(Path),
    /// A list in parentheses: `alias("old", "older")`.
    List(TokenStream),
    /// Anything else behind `=`, which no option takes.
    Other(TokenStream, Span),
}

/// Reads all `#[job(…)]`, or those of another name, of an item; several count as one. The example is what one says.
pub(crate) fn read(attributes: &[Attribute], name: &str, example: &str, mistakes: &mut Mistakes) -> Vec<Entry> {
    let mut entries = Vec::new();
    for attribute in attributes.iter().filter(|a| a.path().is_ident(name)) {
        match &attribute.meta {
            Meta::List(list) => {
                entries.extend(read_list(list.tokens.clone(), mistakes));
            }
            other => {
                let message = format!("#[{name}] takes its options in parentheses; write #[{name}({example})]");
                mistakes.add(syn::Error::new_spanned(other, message));
            }
        }
    }
    entries
}

/// Reads what stands between parentheses.
pub(crate) fn read_list(tokens: TokenStream, mistakes: &mut Mistakes) -> Vec<Entry> {
    let mut entries = Vec::new();
    let parser = |input: ParseStream| entries_of(input, &mut entries, mistakes);
    if let Err(error) = parser.parse2(tokens) {
        mistakes.add(error);
    }
    entries
}

fn entries_of(input: ParseStream, entries: &mut Vec<Entry>, mistakes: &mut Mistakes) -> syn::Result<()> {
    while !input.is_empty() {
        match entry(input) {
            Ok(entry) => entries.push(entry),
            Err(error) => mistakes.add(error),
        }
        skip_to_comma(input, mistakes)?;
    }
    Ok(())
}

/// Takes the comma behind an option, and what wrongly stands before it.
fn skip_to_comma(input: ParseStream, mistakes: &mut Mistakes) -> syn::Result<()> {
    if !input.is_empty() && !input.peek(Token![,]) && mistakes.is_empty() {
        mistakes.push(input.span(), "expected a comma before this; options are separated by commas");
    }
    until_comma(input)?;
    input.parse::<Option<Token![,]>>().map(drop)
}

fn entry(input: ParseStream) -> syn::Result<Entry> {
    if !input.peek(Ident::peek_any) {
        return Err(input.error("expected the name of an option, such as `queue = \"mail\"`"));
    }
    let name = input.call(Ident::parse_any)?;
    if input.peek(token::Paren) {
        let list;
        syn::parenthesized!(list in input);
        return Ok(Entry { name, value: Value::List(list.parse()?) });
    }
    if input.parse::<Option<Token![=]>>()?.is_none() {
        return Ok(Entry { name, value: Value::None });
    }
    if input.is_empty() || input.peek(Token![,]) {
        return Err(syn::Error::new(name.span(), format!("`{name}` has no value behind `=`; write one")));
    }
    Ok(Entry { value: value(input)?, name })
}

fn value(input: ParseStream) -> syn::Result<Value> {
    let fork = input.fork();
    if fork.parse::<Lit>().is_ok() && ends_here(&fork) {
        return input.parse().map(Value::Lit);
    }
    let fork = input.fork();
    if fork.parse::<Path>().is_ok() && ends_here(&fork) {
        return input.parse().map(Value::Path);
    }
    let span = input.span();
    Ok(Value::Other(until_comma(input)?, span))
}

fn ends_here(input: ParseStream) -> bool {
    input.is_empty() || input.peek(Token![,])
}

fn until_comma(input: ParseStream) -> syn::Result<TokenStream> {
    let mut tokens = TokenStream::new();
    while !ends_here(input) {
        tokens.extend([input.parse::<TokenTree>()?]);
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    fn read_all(attributes: &[Attribute]) -> (Vec<String>, Vec<String>) {
        let mut mistakes = Mistakes::default();
        let entries = read(attributes, "job", "queue = \"mail\"", &mut mistakes);
        (entries.iter().map(shown).collect(), mistakes.texts())
    }

    fn shown(entry: &Entry) -> String {
        let value = match &entry.value {
            Value::None => "-".into(),
            Value::Lit(lit) => quote::quote!(literal #lit).to_string(),
            Value::Path(path) => quote::quote!(path #path).to_string(),
            Value::List(list) => format!("list {list}"),
            Value::Other(other, _) => format!("other {other}"),
        };
        format!("{}: {value}", entry.name)
    }

    #[test]
    fn several_attributes_count_as_one() {
        let (entries, mistakes) = read_all(&[
            parse_quote!(#[job(queue = "mail", blocking)]),
            parse_quote!(#[serde(default)]),
            parse_quote!(#[job(crate = ::path, alias("a", "b"), state(Map<A, B>),)]),
        ]);
        let expected = [
            "queue: literal \"mail\"",
            "blocking: -",
            "crate: path :: path",
            "alias: list \"a\" , \"b\"",
            "state: list Map < A , B >",
        ];
        assert_eq!(entries, expected);
        assert_eq!(mistakes, [""; 0]);
    }

    #[test]
    fn what_is_neither_literal_nor_path_is_kept_as_it_is() {
        let (entries, _) = read_all(&[parse_quote!(#[job(max_attempts = -3, backoff = fixed(30s), a = b::<C, D>)])]);
        assert_eq!(entries, ["max_attempts: literal - 3", "backoff: other fixed (30s)", "a: path b :: < C , D >"]);
    }

    #[test]
    fn reading_goes_on_behind_a_slip() {
        let (entries, mistakes) = read_all(&[parse_quote!(#[job("mail", queue =, name = "a")]), parse_quote!(#[job])]);
        assert_eq!(entries, ["name: literal \"a\""]);
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    }

    #[test]
    fn a_forgotten_comma_is_told() {
        let (entries, mistakes) = read_all(&[parse_quote!(#[job(blocking queue = "mail")])]);
        assert_eq!(entries, ["blocking: -"]);
        assert_eq!(mistakes, ["expected a comma before this; options are separated by commas"]);
    }
}
