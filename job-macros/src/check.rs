//! Checks what a job is as a whole: the shape of its type, its names, and options against each other.

use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Fields, GenericParam, LitStr};

use crate::mistake::Mistakes;
use crate::name;
use crate::options::Options;

/// Checks the type: a concrete struct that owns its data.
pub(crate) fn shape(input: &DeriveInput, mistakes: &mut Mistakes) {
    match &input.data {
        Data::Struct(data) => fields(&data.fields, mistakes),
        Data::Enum(data) => mistakes.push(
            data.enum_token.span,
            "a job is a struct: one kind, one handler, one set of options; put the enum into a field of a struct",
        ),
        Data::Union(data) => {
            mistakes.push(data.union_token.span, "a job is a struct, and a union has no JSON; use a struct");
        }
    }
    let is_lifetime = |p: &&GenericParam| matches!(p, GenericParam::Lifetime(_));
    if let Some(lifetime) = input.generics.params.iter().find(is_lifetime) {
        mistakes.push(
            lifetime.span(),
            "a job owns its data, since it is stored and decoded elsewhere; use String for &str, and Vec<T> for &[T]",
        );
    }
    if let Some(parameter) = input.generics.params.iter().find(|p| !is_lifetime(p)) {
        mistakes.push(
            parameter.span(),
            "a job has no parameters, since its kind names one concrete type on the wire; write a struct for each type",
        );
    }
}

fn fields(fields: &Fields, mistakes: &mut Mistakes) {
    for attribute in fields.iter().flat_map(|field| &field.attrs).filter(|a| a.path().is_ident("job")) {
        mistakes.add(syn::Error::new_spanned(attribute, "#[job(…)] describes the whole job; put it above the struct"));
    }
}

/// Checks the names, and options against each other.
pub(crate) fn options(input: &DeriveInput, options: &Options, mistakes: &mut Mistakes) {
    kinds(input, options, mistakes);
    queue(options, mistakes);
    states(options, mistakes);
    subscription(input, options, mistakes);
    options.timetable.check(mistakes);
    if let (Some(at), Some(_)) = (options.timetable.first(), options.ephemeral) {
        mistakes.push(
            at,
            "a schedule has one queue, and an ephemeral subscription one for each process; remove one of them",
        );
    }
    if let (Some(blocking), Some(_)) = (options.blocking, &options.handler) {
        mistakes.push(
            blocking,
            "option \"blocking\" conflicts with \"handler\", whose own code says how it runs; remove one of them",
        );
    }
}

/// Returns the kind that a type has if it gives itself no name.
pub(crate) fn default_kind(input: &DeriveInput) -> String {
    use syn::ext::IdentExt;
    name::snake_case(&input.ident.unraw().to_string())
}

fn kinds(input: &DeriveInput, options: &Options, mistakes: &mut Mistakes) {
    let kind = match &options.name {
        Some(lit) => {
            check(lit, name::check_kind, mistakes);
            lit.value()
        }
        None => {
            let kind = default_kind(input);
            if let Err(error) = name::check_kind(&kind) {
                let message = format!("{error}, in #[job(name = \"…\")]");
                mistakes.push(input.ident.span(), message);
            }
            kind
        }
    };
    let mut known = vec![kind.clone()];
    for alias in &options.aliases {
        check(alias, name::check_kind, mistakes);
        let text = alias.value();
        if text == kind {
            mistakes.push(alias.span(), format!("alias \"{text}\" is the job's own name; remove it"));
        } else if known.contains(&text) {
            mistakes.push(alias.span(), format!("alias \"{text}\" is given twice; keep one of them"));
        }
        known.push(text);
    }
}

fn queue(options: &Options, mistakes: &mut Mistakes) {
    match (&options.queue, options.external) {
        (Some(queue), None) => check(queue, name::check_queue, mistakes),
        (Some(queue), Some(_)) => check(queue, name::check_external_queue, mistakes),
        (None, Some(external)) if !options.is_queue_given && options.on.is_none() => {
            mistakes.push(external, "option \"external\" needs the name of the queue; add queue = \"…\"");
        }
        (None, _) => {}
    }
}

/// Checks what only subscriptions have, and what they have not.
fn subscription(input: &DeriveInput, options: &Options, mistakes: &mut Mistakes) {
    if options.on.is_none() {
        if let Some(group) = &options.group {
            mistakes.push(group.span(), "option \"group\" belongs to a subscription; add on(…), or remove it");
        }
        if let Some(ephemeral) = options.ephemeral {
            mistakes.push(ephemeral, "option \"ephemeral\" belongs to a subscription; add on(…), or remove it");
        }
        return;
    }
    if let Some(queue) = &options.queue {
        mistakes.push(
            queue.span(),
            "option \"queue\" conflicts with \"on\": a subscription has a queue of its own, <group>.<kind>; remove the queue, \
             and choose the group with group = \"…\"",
        );
    }
    if let Some(external) = options.external {
        mistakes
            .push(external, "option \"external\" conflicts with \"on\", whose queue is our own; remove one of them");
    }
    if let Some(alias) = options.aliases.first() {
        mistakes.push(
            alias.span(),
            "an alias conflicts with \"on\": the queue is named after the kind, and its events are found by the queue; keep \
             the kind with name = \"…\"",
        );
    }
    own_queue(input, options, mistakes);
    if options.ephemeral.is_some() {
        ephemeral(options, mistakes);
    }
}

/// Checks the name of the subscription's queue, as far as it is known.
fn own_queue(input: &DeriveInput, options: &Options, mistakes: &mut Mistakes) {
    let (kind, at) = match &options.name {
        Some(lit) => (lit.value(), lit.span()),
        None => (default_kind(input), input.ident.span()),
    };
    let (group, at) = options.group.as_ref().map_or(("app".to_owned(), at), |group| (group.value(), group.span()));
    if let (Err(message), Ok(())) = (name::check_queue(&format!("{group}.{kind}")), name::check_kind(&kind)) {
        mistakes.push(at, message);
    }
}

fn ephemeral(options: &Options, mistakes: &mut Mistakes) {
    let given = [
        ("max_attempts", options.max_attempts.is_some(), "an ephemeral subscription has one attempt"),
        ("backoff", options.backoff.is_some(), "an ephemeral subscription has one attempt"),
        ("concurrency", options.concurrency.is_some(), "an ephemeral subscription puts nothing off"),
    ];
    let Some(ephemeral) = options.ephemeral else { return };
    for (name, _, why) in given.into_iter().filter(|(_, is_given, _)| *is_given) {
        mistakes.push(ephemeral, format!("option \"ephemeral\" conflicts with \"{name}\": {why}; remove one of them"));
    }
}

fn states(options: &Options, mistakes: &mut Mistakes) {
    let mut known: Vec<String> = Vec::new();
    for state in &options.states {
        let text = state.to_token_stream().to_string();
        if known.contains(&text) {
            mistakes.push(state.span(), format!("state `{text}` is declared twice; keep one of them"));
        }
        known.push(text);
    }
}

fn check(lit: &LitStr, rule: impl Fn(&str) -> Result<(), String>, mistakes: &mut Mistakes) {
    let span: Span = lit.span();
    if let Err(message) = rule(&lit.value()) {
        mistakes.push(span, message);
    }
}
