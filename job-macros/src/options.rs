//! The options of one job, each read and typed. What options say about each other is `check`'s.

use std::collections::HashSet;
use std::time::Duration;

use proc_macro2::Span;
use syn::{LitStr, Path, Result, Type};

use crate::attr::Entry;
use crate::backoff::Backoff;
use crate::mistake::Mistakes;
use crate::source::Source;
use crate::timetable::Timetable;
use crate::{option_name, source, timetable, value};

/// What `#[job(…)]` says; `None` and empty where it says nothing.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) queue: Option<LitStr>,
    /// True even if the queue could not be read.
    pub(crate) is_queue_given: bool,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) backoff: Option<Backoff>,
    pub(crate) timeout: Option<Option<Duration>>,
    pub(crate) expires: Option<Duration>,
    pub(crate) concurrency: Option<u32>,
    pub(crate) blocking: Option<Span>,
    pub(crate) handler: Option<LitStr>,
    pub(crate) states: Vec<Type>,
    pub(crate) external: Option<Span>,
    /// What it listens to.
    pub(crate) sources: Vec<Source>,
    /// Where it says that it listens, even if to what could not be read.
    pub(crate) on: Option<Span>,
    pub(crate) group: Option<LitStr>,
    pub(crate) ephemeral: Option<Span>,
    pub(crate) timetable: Timetable,
    pub(crate) root: Option<Path>,
}

impl Options {
    /// Reads the options; what cannot be read is a mistake, and is left out.
    pub(crate) fn of(entries: &[Entry], mistakes: &mut Mistakes) -> Self {
        let mut options = Self::default();
        let mut seen = HashSet::new();
        for entry in entries {
            let name = entry.name.to_string();
            let is_list = matches!(name.as_str(), "alias" | "cron" | "every" | "on" | "state")
                || timetable::FOLLOWERS.contains(&name.as_str());
            if !seen.insert(name.clone()) && !is_list && option_name::OPTIONS.contains(&name.as_str()) {
                mistakes.push(entry.name.span(), format!("option \"{name}\" is given twice; keep one of them"));
            } else if let Err(error) = options.set(&name, entry) {
                mistakes.add(error);
            }
        }
        options
    }

    fn set(&mut self, name: &str, entry: &Entry) -> Result<()> {
        match name {
            "name" => self.name = Some(value::text(entry, "name = \"send_mail\"")?),
            "alias" => self.aliases.extend(value::texts(entry, "alias(\"old_name\")")?),
            "queue" => {
                self.is_queue_given = true;
                self.queue = Some(value::text(entry, "queue = \"mail\"")?);
            }
            "max_attempts" => self.max_attempts = Some(value::count(entry, "max_attempts = 5")?),
            "backoff" => self.backoff = Some(value::backoff(entry, "backoff = \"fixed(30s)\"")?),
            "timeout" => self.timeout = Some(value::timeout(entry, "timeout = \"30s\"")?),
            "expires" => self.expires = Some(value::duration(entry, "expires = \"1h\"")?),
            "concurrency" => self.concurrency = Some(value::count(entry, "concurrency = 2")?),
            "blocking" => self.blocking = Some(value::flag(entry)?),
            "handler" => self.handler = Some(value::text(entry, "handler = \"elsewhere\"")?),
            "state" => self.states.extend(value::types(entry, "state(Store)")?),
            "external" => self.external = Some(value::flag(entry)?),
            "on" => {
                self.on.get_or_insert(entry.name.span());
                self.sources.push(source::read(entry)?);
            }
            "group" => self.group = Some(value::text(entry, "group = \"shop\"")?),
            "ephemeral" => self.ephemeral = Some(value::flag(entry)?),
            "cron" | "every" | "jitter" | "missed" | "overlap" | "schedule_with" | "tz" => {
                self.timetable.set(name, entry)?
            }
            "crate" => self.root = Some(value::path(entry, "crate = ::my_jobs::job_core")?),
            _ => return Err(syn::Error::new(entry.name.span(), option_name::unknown(name))),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr;
    use quote::ToTokens;
    use syn::{Attribute, parse_quote};

    fn mistakes_of(attribute: &Attribute) -> Vec<String> {
        let mut mistakes = Mistakes::default();
        let entries = attr::read(std::slice::from_ref(attribute), "job", "", &mut mistakes);
        Options::of(&entries, &mut mistakes);
        mistakes.texts()
    }

    #[test]
    fn a_value_of_the_wrong_type_says_what_to_write() {
        for (attribute, expected) in [
            (parse_quote!(#[job(queue = 5)]), "option \"queue\" takes a text in quotes; write queue = \"mail\""),
            (parse_quote!(#[job(queue)]), "option \"queue\" takes a text in quotes; write queue = \"mail\""),
            (
                parse_quote!(#[job(alias = "a")]),
                "option \"alias\" takes texts in parentheses; write alias(\"old_name\")",
            ),
            (parse_quote!(#[job(alias())]), "option \"alias\" takes texts in parentheses; write alias(\"old_name\")"),
            (parse_quote!(#[job(state = Store)]), "option \"state\" takes types in parentheses; write state(Store)"),
            (
                parse_quote!(#[job(max_attempts = "7")]),
                "option \"max_attempts\" takes a whole number of at least 1; write max_attempts = 7",
            ),
            (
                parse_quote!(#[job(max_attempts = -7)]),
                "option \"max_attempts\" takes a whole number of at least 1; write max_attempts = 5",
            ),
            (parse_quote!(#[job(concurrency = 0)]), "concurrency is 0; write at least 1"),
            (parse_quote!(#[job(max_attempts = 3u8)]), "max_attempts needs no suffix; write 3"),
            (
                parse_quote!(#[job(max_attempts = 4294967296)]),
                "max_attempts 4294967296 is no number of 32 bits; write at most 4294967295",
            ),
            (
                parse_quote!(#[job(timeout = 30)]),
                "option \"timeout\" takes a duration in quotes; write timeout = \"30s\"",
            ),
            (
                parse_quote!(#[job(expires = 5m)]),
                "option \"expires\" takes a duration in quotes; write expires = \"5m\"",
            ),
            (
                parse_quote!(#[job(timeout = none)]),
                "option \"timeout\" takes a duration in quotes, or \"none\"; write timeout = \"none\"",
            ),
            (parse_quote!(#[job(blocking = true)]), "option \"blocking\" takes no value; write blocking"),
            (parse_quote!(#[job(blocking = false)]), "option \"blocking\" takes no value; leave `blocking` out"),
            (
                parse_quote!(#[job(backoff = fixed(30s))]),
                "option \"backoff\" takes a policy in quotes; write backoff = \"fixed(30s)\"",
            ),
            (parse_quote!(#[job(crate = 5)]), "option \"crate\" takes a path; write crate = ::my_jobs::job_core"),
            (parse_quote!(#[job(queue = "a", queue = "b")]), "option \"queue\" is given twice; keep one of them"),
        ] {
            assert_eq!(mistakes_of(&attribute), [expected]);
        }
    }

    #[test]
    fn zero_is_no_timeout() {
        for attribute in [parse_quote!(#[job(timeout = "0s")]), parse_quote!(#[job(expires = "0ms")])] {
            let mistakes = mistakes_of(&attribute);
            assert!(mistakes[0].contains("is zero"), "{mistakes:?}");
        }
    }

    #[test]
    fn what_is_right_is_kept_beside_what_is_wrong() {
        let attribute: Attribute =
            parse_quote!(#[job(alias("a"), quue = "x", alias("b"), state(A, B<C, D>), expires = "1")]);
        let mut mistakes = Mistakes::default();
        let entries = attr::read(&[attribute], "job", "", &mut mistakes);
        let options = Options::of(&entries, &mut mistakes);
        assert_eq!(options.aliases.iter().map(LitStr::value).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(options.states[1].to_token_stream().to_string(), "B < C , D >");
        assert_eq!(mistakes.texts().len(), 2);
    }
}
