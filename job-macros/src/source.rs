//! Reads `on(…)`: what a subscription listens to.

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Error, Ident, LitStr, Result, Token};

use crate::attr::{self, Entry, Value};
use crate::mistake::Mistakes;
use crate::suggest::nearest;
use crate::{key, name, value};

const EXAMPLE: &str = "on(topic = \"member.*.updated\")";
const HEADERS_EXAMPLE: &str = "headers(all, format = \"pdf\")";

const OPTIONS: [&str; 5] = ["direct", "exchange", "fanout", "headers", "topic"];

/// What one `on(…)` says.
pub(crate) struct Source {
    pub(crate) exchange: Option<LitStr>,
    pub(crate) pattern: Pattern,
}

/// Which events it takes.
pub(crate) enum Pattern {
    Topic(LitStr),
    Direct(LitStr),
    Headers(Headers),
    /// The fanout of a name, or, at somebody else's exchange, that exchange itself.
    Fanout(Option<LitStr>),
}

/// Headers that an event must have.
pub(crate) struct Headers {
    /// One of them is enough.
    pub(crate) is_any: bool,
    pub(crate) values: Vec<(LitStr, LitStr)>,
}

/// Reads one `on(…)`.
pub(crate) fn read(entry: &Entry) -> Result<Source> {
    let at = entry.name.span();
    let Value::List(tokens) = &entry.value else {
        return Err(Error::new(at, format!("option \"on\" takes what it listens to in parentheses; write {EXAMPLE}")));
    };
    let mut mistakes = Mistakes::default();
    let entries = attr::read_list(tokens.clone(), &mut mistakes);
    let mut exchange = None;
    let mut patterns = Vec::new();
    for entry in &entries {
        let read = match entry.name.to_string().as_str() {
            "exchange" => value::text(entry, "exchange = \"legacy\"").map(|lit| exchange = Some(lit)),
            _ => pattern(entry).map(|pattern| patterns.push((entry.name.span(), pattern))),
        };
        if let Err(error) = read {
            mistakes.add(error);
        }
    }
    if let Some(exchange) = &exchange {
        check(exchange, name::check_exchange, &mut mistakes);
    }
    // What could not be read may have been the pattern: one slip is one mistake.
    mistakes.or(())?;
    let mut mistakes = Mistakes::default();
    let mut patterns = patterns.into_iter();
    let Some((span, pattern)) = patterns.next() else {
        return Err(Error::new(
            at,
            format!("`on` says nothing to listen to; write {EXAMPLE}, direct, headers or fanout"),
        ));
    };
    for (span, _) in patterns {
        mistakes.push(span, "an `on(…)` listens to one thing; write another `on(…)` for this");
    }
    check_pattern(span, &pattern, exchange.is_some(), &mut mistakes);
    mistakes.or(Source { exchange, pattern })
}

fn pattern(entry: &Entry) -> Result<Pattern> {
    let name = entry.name.to_string();
    match name.as_str() {
        "topic" => Ok(Pattern::Topic(value::text(entry, "topic = \"member.*.updated\"")?)),
        "direct" => Ok(Pattern::Direct(value::text(entry, "direct = \"pdf\"")?)),
        "fanout" if matches!(entry.value, Value::None) => Ok(Pattern::Fanout(None)),
        "fanout" => Ok(Pattern::Fanout(Some(value::text(entry, "fanout = \"prices\"")?))),
        "headers" => headers(entry).map(Pattern::Headers),
        _ => {
            let hint = match nearest(&name, &OPTIONS) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("it listens to {}", OPTIONS.join(", ")),
            };
            Err(Error::new(entry.name.span(), format!("unknown word \"{name}\" in `on(…)`; {hint}")))
        }
    }
}

fn headers(entry: &Entry) -> Result<Headers> {
    let Value::List(tokens) = &entry.value else {
        let message = format!("`headers` takes the headers in parentheses; write {HEADERS_EXAMPLE}");
        return Err(Error::new(entry.name.span(), message));
    };
    read_headers.parse2(tokens.clone()).map_err(|error| match tokens.is_empty() {
        // The end of nothing has no place of its own.
        true => Error::new(entry.name.span(), error.to_string()),
        false => error,
    })
}

fn read_headers(input: ParseStream) -> Result<Headers> {
    let mode = input.call(Ident::parse_any).ok().filter(|mode| mode == "all" || mode == "any");
    let Some(mode) = mode else {
        return Err(input.error(format!("`headers` begins with `all` or `any`; write {HEADERS_EXAMPLE}")));
    };
    let mut values = Vec::new();
    while !input.is_empty() {
        input.parse::<Token![,]>()?;
        if input.is_empty() {
            break;
        }
        values.push(header(input)?);
    }
    let is_any = mode == "any";
    if is_any && values.is_empty() {
        return Err(Error::new(mode.span(), "any of no headers is none, so that no event would match; name some"));
    }
    Ok(Headers { is_any, values })
}

fn header(input: ParseStream) -> Result<(LitStr, LitStr)> {
    let name = if input.peek(LitStr) {
        input.parse()?
    } else {
        let name = input.call(Ident::parse_any)?;
        LitStr::new(&name.unraw().to_string(), name.span())
    };
    input.parse::<Token![=]>()?;
    let value = input
        .parse()
        .map_err(|error| Error::new(error.span(), "the value of a header is a text; write it in quotes"))?;
    Ok((name, value))
}

fn check_pattern(span: Span, pattern: &Pattern, has_exchange: bool, mistakes: &mut Mistakes) {
    match pattern {
        Pattern::Topic(lit) => check(lit, key::check_pattern, mistakes),
        Pattern::Direct(lit) => check(lit, key::check_bound_key, mistakes),
        Pattern::Headers(headers) => {
            let mut known: Vec<String> = Vec::new();
            for (name, _) in &headers.values {
                check(name, name::check_header, mistakes);
                if known.contains(&name.value()) {
                    let message = format!("the header \"{}\" is given twice; keep one of them", name.value());
                    mistakes.push(name.span(), message);
                }
                known.push(name.value());
            }
        }
        Pattern::Fanout(None) if !has_exchange => {
            mistakes.push(span, "a fanout of our own has a name; write fanout = \"prices\"");
        }
        Pattern::Fanout(Some(_)) if has_exchange => {
            mistakes.push(span, "somebody else's exchange is the fanout itself; write `fanout` without a name");
        }
        Pattern::Fanout(Some(name)) => check(name, name::check_fanout, mistakes),
        Pattern::Fanout(None) => {}
    }
}

fn check(lit: &LitStr, rule: impl Fn(&str) -> std::result::Result<(), String>, mistakes: &mut Mistakes) {
    if let Err(message) = rule(&lit.value()) {
        mistakes.push(lit.span(), message);
    }
}

/// Writes a source as job-core has it; `root` is the path of its `__private`.
pub(crate) fn expand(root: &TokenStream, source: &Source) -> TokenStream {
    let pattern = match &source.pattern {
        Pattern::Topic(key) => quote::quote!(#root::Source::Topic(#key)),
        Pattern::Direct(key) => quote::quote!(#root::Source::Direct(#key)),
        Pattern::Headers(Headers { is_any, values }) => {
            let mode = if *is_any { quote::quote!(Any) } else { quote::quote!(All) };
            let values = values.iter().map(|(name, value)| quote::quote!((#name, #value)));
            quote::quote!(#root::Source::Headers(#root::HeadersMode::#mode, &[#(#values),*]))
        }
        Pattern::Fanout(Some(name)) => quote::quote!(#root::Source::Fanout(#name)),
        // At somebody else's exchange, the exchange is the fanout.
        Pattern::Fanout(None) => match &source.exchange {
            Some(exchange) => quote::quote!(#root::Source::Fanout(#exchange)),
            None => TokenStream::new(),
        },
    };
    match &source.exchange {
        Some(exchange) => quote::quote!(#root::Source::Foreign(#exchange, &#pattern)),
        None => pattern,
    }
}
