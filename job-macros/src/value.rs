//! Turns the value of one option into what the option takes.

use std::time::Duration;

use proc_macro2::Span;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Lit, LitInt, LitStr, Path, Result, Token, Type};

use crate::attr::{Entry, Value};
use crate::backoff::{self, Backoff};
use crate::duration;

const WHOLE_NUMBER: &str = "a whole number of at least 1";

/// Reads a text in quotes.
pub(crate) fn text(entry: &Entry, example: &str) -> Result<LitStr> {
    match &entry.value {
        Value::Lit(Lit::Str(text)) => Ok(text.clone()),
        _ => Err(mistyped(entry, "a text in quotes", example)),
    }
}

/// Reads a list of texts in parentheses, of at least one.
pub(crate) fn texts(entry: &Entry, example: &str) -> Result<Vec<LitStr>> {
    let wrong = || mistyped(entry, "texts in parentheses", example);
    let Value::List(tokens) = &entry.value else {
        return Err(wrong());
    };
    let texts = Punctuated::<LitStr, Token![,]>::parse_terminated.parse2(tokens.clone()).map_err(|_| wrong())?;
    if texts.is_empty() {
        return Err(wrong());
    }
    Ok(texts.into_iter().collect())
}

/// Reads a list of types in parentheses, of at least one.
pub(crate) fn types(entry: &Entry, example: &str) -> Result<Vec<Type>> {
    let wrong = || mistyped(entry, "types in parentheses", example);
    let Value::List(tokens) = &entry.value else {
        return Err(wrong());
    };
    let types = Punctuated::<Type, Token![,]>::parse_terminated.parse2(tokens.clone()).map_err(|_| wrong())?;
    if types.is_empty() {
        return Err(wrong());
    }
    Ok(types.into_iter().collect())
}

/// Reads a whole number of at least 1.
pub(crate) fn count(entry: &Entry, example: &str) -> Result<u32> {
    let lit = match &entry.value {
        Value::Lit(Lit::Int(lit)) if !lit.base10_digits().starts_with('-') => lit,
        Value::Lit(Lit::Str(text)) if text.value().parse::<u32>().is_ok() => {
            let example = format!("{} = {}", entry.name, text.value());
            return Err(mistyped(entry, WHOLE_NUMBER, &example));
        }
        _ => return Err(mistyped(entry, WHOLE_NUMBER, example)),
    };
    match lit.base10_parse::<u32>() {
        Ok(0) => Err(Error::new(lit.span(), format!("{} is 0; write at least 1", entry.name))),
        Ok(count) if lit.suffix().is_empty() => Ok(count),
        Ok(count) => Err(Error::new(lit.span(), format!("{} needs no suffix; write {count}", entry.name))),
        Err(_) => Err(count_out_of_range(entry, lit)),
    }
}

fn count_out_of_range(entry: &Entry, lit: &LitInt) -> Error {
    Error::new(lit.span(), format!("{} {lit} is no number of 32 bits; write at most {}", entry.name, u32::MAX))
}

/// Reads a duration that is longer than zero.
pub(crate) fn duration(entry: &Entry, example: &str) -> Result<Duration> {
    let text = match &entry.value {
        Value::Lit(Lit::Str(text)) => text,
        Value::Lit(Lit::Int(number)) => {
            let (digits, suffix) = (number.base10_digits(), number.suffix());
            let suffix = if suffix.is_empty() { "s" } else { suffix };
            let example = format!("{} = \"{digits}{suffix}\"", entry.name);
            return Err(mistyped(entry, "a duration in quotes", &example));
        }
        _ => return Err(mistyped(entry, "a duration in quotes", example)),
    };
    match duration::parse(&text.value()) {
        Ok(Duration::ZERO) if entry.name == "timeout" => {
            Err(Error::new(text.span(), "timeout is zero, which no run can meet; write \"none\" for no limit"))
        }
        Ok(Duration::ZERO) if entry.name == "every" => {
            Err(Error::new(text.span(), "every is zero, which never ends; write at least \"1s\""))
        }
        Ok(Duration::ZERO) if entry.name == "jitter" => {
            Err(Error::new(text.span(), "jitter is zero, which spreads nothing; leave it out"))
        }
        Ok(Duration::ZERO) => {
            let message = format!("{} is zero, so that no run could begin; leave it out for no limit", entry.name);
            Err(Error::new(text.span(), message))
        }
        Ok(duration) => Ok(duration),
        Err(message) => Err(Error::new(text.span(), message)),
    }
}

/// Returns where a value stands; that of the name where it is none.
pub(crate) fn span(entry: &Entry) -> Span {
    match &entry.value {
        Value::Lit(lit) => lit.span(),
        _ => entry.name.span(),
    }
}

/// Reads a timeout: a duration, or `"none"`.
pub(crate) fn timeout(entry: &Entry, example: &str) -> Result<Option<Duration>> {
    match &entry.value {
        Value::Lit(Lit::Str(text)) if text.value() == "none" => Ok(None),
        Value::Path(path) if path.is_ident("none") || path.is_ident("None") => {
            Err(mistyped(entry, "a duration in quotes, or \"none\"", "timeout = \"none\""))
        }
        _ => duration(entry, example).map(Some),
    }
}

/// Reads a policy in quotes, or the path of a function.
pub(crate) fn backoff(entry: &Entry, example: &str) -> Result<Backoff> {
    match &entry.value {
        Value::Path(path) if !is_policy(path) => Ok(Backoff::Custom(path.clone())),
        Value::Path(path) => Err(mistyped(entry, "a policy in quotes", &format!("backoff = \"{}(30s)\"", last(path)))),
        Value::Lit(Lit::Str(text)) => backoff::parse(text).map_err(|messages| all(text.span(), &messages)),
        Value::Other(tokens, _) if tokens.to_string().starts_with(['e', 'f']) => {
            let quoted = tokens.to_string().replace(" (", "(");
            Err(mistyped(entry, "a policy in quotes", &format!("backoff = \"{}\"", quoted.replace('"', ""))))
        }
        _ => Err(mistyped(entry, "a policy in quotes, or the path of a function", example)),
    }
}

fn is_policy(path: &Path) -> bool {
    path.is_ident("exponential") || path.is_ident("fixed")
}

fn last(path: &Path) -> String {
    path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default()
}

fn all(span: Span, messages: &[String]) -> Error {
    let mut errors = messages.iter().map(|message| Error::new(span, message));
    let first = errors.next().unwrap_or_else(|| Error::new(span, "no such backoff"));
    errors.fold(first, |mut all, error| {
        all.combine(error);
        all
    })
}

/// Reads an option that has no value.
pub(crate) fn flag(entry: &Entry) -> Result<Span> {
    match &entry.value {
        Value::None => Ok(entry.name.span()),
        Value::Lit(Lit::Bool(lit)) if !lit.value => {
            Err(Error::new(entry.name.span(), format!("option \"{0}\" takes no value; leave `{0}` out", entry.name)))
        }
        _ => Err(mistyped(entry, "no value", &entry.name.to_string())),
    }
}

/// Reads a path, in quotes or not.
pub(crate) fn path(entry: &Entry, example: &str) -> Result<Path> {
    let path = match &entry.value {
        Value::Path(path) => Some(path.clone()),
        Value::Lit(Lit::Str(text)) => text.parse_with(Path::parse_mod_style).ok(),
        _ => None,
    };
    path.ok_or_else(|| mistyped(entry, "a path", example))
}

fn mistyped(entry: &Entry, what: &str, example: &str) -> Error {
    Error::new(span_of(entry), format!("option \"{}\" takes {what}; write {example}", entry.name))
}

fn span_of(entry: &Entry) -> Span {
    match &entry.value {
        Value::None => entry.name.span(),
        Value::Lit(lit) => lit.span(),
        Value::Path(path) => path.span(),
        Value::List(tokens) if tokens.is_empty() => entry.name.span(),
        Value::List(tokens) => tokens.span(),
        Value::Other(_, span) => *span,
    }
}
