//! The schedules of a job: each `cron` or `every`, with what stands behind it.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, LitStr, Path, Result};

use crate::attr::Entry;
use crate::mistake::Mistakes;
use crate::recurrence::{Wrong, check_cron, check_every, check_zone};
use crate::value;

/// Options that belong to the schedule before them.
pub(crate) const FOLLOWERS: [&str; 4] = ["jitter", "missed", "overlap", "tz"];

/// Most missed ticks that are made up for.
const MISSED_MAX: u32 = 1000;

/// Longest jitter, which is job-core's.
const JITTER_MAX: Duration = Duration::from_secs(24 * 3600);

/// What a job says about when it is enqueued.
#[derive(Default)]
pub(crate) struct Timetable {
    schedules: Vec<Schedule>,
    /// The function that makes the job; its `Default` else.
    pub(crate) make: Option<Path>,
}

struct Schedule {
    at: Span,
    form: Form,
    missed: Missed,
    skips_overlap: bool,
    jitter: Duration,
    /// Options that it has already.
    seen: Vec<String>,
}

enum Form {
    Cron { expression: LitStr, zone: Option<LitStr> },
    Every(Duration),
}

#[derive(Clone, Copy)]
enum Missed {
    Skip,
    Once,
    All(u32),
}

impl Timetable {
    /// Reads one option.
    pub(crate) fn set(&mut self, name: &str, entry: &Entry) -> Result<()> {
        match name {
            // A mistake in it makes none of what stands behind it.
            "cron" => {
                let schedule = self.begin(entry);
                let expression = value::text(entry, "cron = \"0 3 * * *\"");
                let none = || LitStr::new("", entry.name.span());
                schedule.form = Form::Cron { expression: expression.clone().unwrap_or_else(|_| none()), zone: None };
                let expression = expression?;
                check_cron(&expression.value()).map_err(|wrong| at_byte(&expression, &wrong))?;
            }
            "every" => {
                let schedule = self.begin(entry);
                let interval = value::duration(entry, "every = \"5m\"")?;
                check_every(interval).map_err(|wrong| Error::new(value::span(entry), wrong.what))?;
                schedule.form = Form::Every(interval);
            }
            "schedule_with" => self.make = Some(value::path(entry, "schedule_with = make_report")?),
            _ => self.follow(name, entry)?,
        }
        Ok(())
    }

    /// Checks what the options say about each other.
    pub(crate) fn check(&self, mistakes: &mut Mistakes) {
        if let (Some(make), true) = (&self.make, self.schedules.is_empty()) {
            let message = "option \"schedule_with\" belongs to a schedule; add cron = \"…\" or every = \"…\"";
            mistakes.add(Error::new_spanned(make, message));
        }
    }

    /// Returns where the first schedule stands.
    pub(crate) fn first(&self) -> Option<Span> {
        self.schedules.first().map(|schedule| schedule.at)
    }

    /// Writes what the worker finds.
    pub(crate) fn expand(&self, private: &TokenStream, job: &Ident) -> TokenStream {
        let make = |schedule: &Schedule| {
            // What is wrong with a type or a function is told where it is asked for.
            let at = |span| Span::call_site().located_at(span);
            let mut job = job.clone();
            match &self.make {
                Some(make) => {
                    let at = at(make.span());
                    job.set_span(at);
                    quote_spanned!(at=> || #private::boxed_job::<#job>(#make()))
                }
                None => {
                    let at = at(schedule.at);
                    job.set_span(at);
                    quote_spanned!(at=> #private::default_job_without_schedule_with::<#job>)
                }
            }
        };
        let submit = |(number, schedule): (usize, &Schedule)| schedule.expand(private, job, number, &make(schedule));
        (1..).zip(&self.schedules).map(submit).collect()
    }

    fn begin(&mut self, entry: &Entry) -> &mut Schedule {
        let (at, form) = (entry.name.span(), Form::Every(Duration::ZERO));
        let (missed, skips_overlap, jitter, seen) = (Missed::Once, false, Duration::ZERO, Vec::new());
        self.schedules.push(Schedule { at, form, missed, skips_overlap, jitter, seen });
        self.schedules.last_mut().expect("it was just added")
    }

    fn follow(&mut self, name: &str, entry: &Entry) -> Result<()> {
        let at = entry.name.span();
        let schedule = self.schedules.last_mut().ok_or_else(|| {
            Error::new(
                at,
                format!("option \"{name}\" belongs behind the schedule that it is about; write cron = \"…\" before it"),
            )
        })?;
        if schedule.seen.iter().any(|seen| seen == name) {
            return Err(Error::new(at, format!("option \"{name}\" is given twice for one schedule; keep one of them")));
        }
        schedule.seen.push(name.into());
        schedule.set(name, entry)
    }
}

impl Schedule {
    fn set(&mut self, name: &str, entry: &Entry) -> Result<()> {
        match (name, &mut self.form) {
            ("tz", Form::Cron { zone, .. }) => {
                let text = value::text(entry, "tz = \"Europe/Berlin\"")?;
                check_zone(&text.value()).map_err(|wrong| Error::new(text.span(), wrong.what))?;
                *zone = Some(text);
            }
            ("tz", Form::Every(_)) => {
                return Err(Error::new(
                    entry.name.span(),
                    "an interval is real time, the same in every zone; leave tz out",
                ));
            }
            ("missed", _) => self.missed = missed(entry)?,
            ("overlap", _) => self.skips_overlap = overlap(entry)?,
            _ => self.jitter = jitter(entry)?,
        }
        Ok(())
    }

    fn expand(&self, private: &TokenStream, job: &Ident, number: usize, make: &TokenStream) -> TokenStream {
        let none = quote!(::core::option::Option::None);
        let (cron, every) = match &self.form {
            Form::Every(interval) => (none, seconds(*interval)),
            Form::Cron { expression, zone } => {
                let zone = zone.clone().unwrap_or_else(|| LitStr::new("UTC", Span::call_site()));
                (quote!(::core::option::Option::Some((#expression, #zone))), seconds(Duration::ZERO))
            }
        };
        let missed = match self.missed {
            Missed::Skip => quote!(Skip),
            Missed::Once => quote!(Once),
            Missed::All(max) => quote!(All(#max)),
        };
        let overlap = if self.skips_overlap { quote!(Skip) } else { quote!(Allow) };
        let jitter = seconds(self.jitter);
        quote! {
            #private::inventory::submit! {
                #private::LinkedSchedule {
                    kind: <#job as #private::Job>::KIND,
                    number: #number,
                    cron: #cron,
                    every: #every,
                    missed: #private::Missed::#missed,
                    overlap: #private::Overlap::#overlap,
                    jitter: #jitter,
                    make: #make,
                }
            }
        }
    }
}

fn seconds(duration: Duration) -> TokenStream {
    let seconds = duration.as_secs();
    quote!(::core::time::Duration::from_secs(#seconds))
}

fn missed(entry: &Entry) -> Result<Missed> {
    let text = value::text(entry, "missed = \"once\"")?;
    let value = text.value();
    let max = || value.strip_prefix("all(")?.strip_suffix(')')?.trim().parse().ok();
    match value.as_str() {
        "skip" => Ok(Missed::Skip),
        "once" => Ok(Missed::Once),
        _ => match max() {
            Some(max) if (1..=MISSED_MAX).contains(&max) => Ok(Missed::All(max)),
            _ => Err(Error::new(
                text.span(),
                format!(
                    "missed runs take \"skip\", \"once\" or \"all(N)\" with N of 1 to {MISSED_MAX}, not \"{value}\""
                ),
            )),
        },
    }
}

fn jitter(entry: &Entry) -> Result<Duration> {
    let jitter = value::duration(entry, "jitter = \"30s\"")?;
    if jitter.subsec_nanos() > 0 || jitter > JITTER_MAX {
        let message = format!("a jitter is whole seconds, at most a day; {jitter:?} is not");
        return Err(Error::new(value::span(entry), message));
    }
    Ok(jitter)
}

fn overlap(entry: &Entry) -> Result<bool> {
    let text = value::text(entry, "overlap = \"skip\"")?;
    match text.value().as_str() {
        "allow" => Ok(false),
        "skip" => Ok(true),
        other => Err(Error::new(text.span(), format!("an overlap takes \"allow\" or \"skip\", not \"{other}\""))),
    }
}

/// The place within the text, where the compiler can tell; the message names the character in any case.
fn at_byte(text: &LitStr, wrong: &Wrong) -> Error {
    let token = text.token();
    // Escapes and raw strings have other places than their values.
    let is_plain = token.to_string() == format!("\"{}\"", text.value());
    let within = wrong.at.filter(|_| is_plain).and_then(|at| token.subspan(at + 1..));
    Error::new(within.unwrap_or_else(|| text.span()), &wrong.what)
}
