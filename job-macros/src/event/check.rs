//! Checks what an event is as a whole: its name, where it goes, and the fields that take part in that.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::{DeriveInput, LitStr};

use crate::event::field::Field;
use crate::event::options::{Options, Route};
use crate::key::{self, Piece};
use crate::mistake::Mistakes;
use crate::name;

/// Checks the names, and options against each other and against the fields.
pub(super) fn options(input: &DeriveInput, fields: &[Field], options: &Options, mistakes: &mut Mistakes) {
    kind(input, options, mistakes);
    headers(fields, mistakes);
    if let Some(exchange) = &options.exchange {
        check(exchange, name::check_exchange, mistakes);
    }
    match options.routes.as_slice() {
        [] if !options.is_route_given => mistakes.push(
            input.ident.span(),
            "an event says where it goes; add #[event(topic = \"…\")], or direct, headers or fanout",
        ),
        [] => {}
        [route, others @ ..] => {
            self::route(route, fields, options, mistakes);
            for other in others {
                let (one, two) = (other.name(), route.name());
                mistakes
                    .push(other.span(), format!("option \"{one}\" conflicts with \"{two}\"; an event goes one way"));
            }
        }
    }
}

/// Returns the kind that a type has if it gives itself no name.
pub(super) fn default_kind(input: &DeriveInput) -> String {
    name::snake_case(&input.ident.unraw().to_string())
}

fn kind(input: &DeriveInput, options: &Options, mistakes: &mut Mistakes) {
    match &options.name {
        Some(lit) => check(lit, name::check_kind, mistakes),
        None => {
            if let Err(error) = name::check_kind(&default_kind(input)) {
                mistakes.push(input.ident.span(), format!("{error}, in #[event(name = \"…\")]"));
            }
        }
    }
}

fn headers(fields: &[Field], mistakes: &mut Mistakes) {
    let mut known: Vec<String> = Vec::new();
    for header in fields.iter().filter_map(|field| field.header.as_ref()) {
        check(header, name::check_header, mistakes);
        let text = header.value();
        if known.contains(&text) {
            mistakes.push(header.span(), format!("the header \"{text}\" is given twice; keep one of them"));
        }
        known.push(text);
    }
}

fn route(route: &Route, fields: &[Field], options: &Options, mistakes: &mut Mistakes) {
    match route {
        Route::Topic(key) => placeholders(key, key::check_topic_key, fields, mistakes),
        Route::Direct(key) => placeholders(key, key::check_direct_key, fields, mistakes),
        Route::Headers(span) if fields.iter().all(|field| field.header.is_none()) => mistakes.push(
            *span,
            "an event that goes by its headers has some; write #[event(header)] above the fields that are headers too",
        ),
        Route::Headers(_) => {}
        Route::Fanout(span, None) if options.exchange.is_none() => {
            mistakes.push(*span, "a fanout of our own has a name; write fanout = \"prices\"");
        }
        Route::Fanout(span, Some(_)) if options.exchange.is_some() => {
            mistakes.push(*span, "somebody else's exchange is the fanout itself; write `fanout` without a name");
        }
        Route::Fanout(_, Some(name)) => check(name, name::check_fanout, mistakes),
        Route::Fanout(_, None) => {}
    }
}

fn placeholders(key: &LitStr, rule: impl Fn(&str) -> Result<(), String>, fields: &[Field], mistakes: &mut Mistakes) {
    check(key, rule, mistakes);
    let pieces = match key::pieces(&key.value()) {
        Ok(pieces) => pieces,
        Err(message) => return mistakes.push(key.span(), message),
    };
    let known: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
    for piece in &pieces {
        match piece {
            Piece::Field(name) if !known.contains(&name.as_str()) => {
                let hint = match crate::suggest::nearest(name, &known) {
                    Some(near) => format!("did you mean {{{near}}}?"),
                    None if known.is_empty() => "the event has no fields".to_owned(),
                    None => format!("the fields are {}", known.join(", ")),
                };
                mistakes.push(key.span(), format!("{{{name}}} in the key is no field of the event; {hint}"));
            }
            Piece::Field(_) | Piece::Text(_) => {}
        }
    }
}

fn check(lit: &LitStr, rule: impl Fn(&str) -> Result<(), String>, mistakes: &mut Mistakes) {
    let span: Span = lit.span();
    if let Err(message) = rule(&lit.value()) {
        mistakes.push(span, message);
    }
}
