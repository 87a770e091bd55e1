//! `schedules`: what recurs, when it runs next, and what an operator changes about it.

use std::process::ExitCode;

use job_core::client::Schedules;
use job_core::clock::{Clock, Timestamp};
use job_core::error::Result;
use job_core::schedule::{Recurrence as Data, Schedule, ScheduleEntry, ScheduleKey};
use job_schedule::Recurrence;
use serde_json::{Value, json};

use crate::cli::args::{NameFlags, NextFlags, OutputFlags, SchedulesCommand};
use crate::cli::exit::Failure;
use crate::cli::operator::Operator;
use crate::cli::output::{print_result, print_rows};
use crate::schedule::read;
use crate::scheduler::Settings;

/// How an instant is shown to people: the weekday tells most slips of an expression.
const FORMAT: &str = "%a %Y-%m-%d %H:%M:%S %Z";

pub(super) async fn schedules(url: &str, command: &SchedulesCommand) -> Result<ExitCode, Failure> {
    match command {
        SchedulesCommand::List(output) => list(url, *output).await,
        SchedulesCommand::Next(flags) => next(url, flags).await,
        SchedulesCommand::Run(flags) => {
            change(url, flags, async |schedules, name| {
                let id = schedules.run(name).await?;
                Ok((id.to_string(), json!({"id": id})))
            })
            .await
        }
        SchedulesCommand::Pause(flags) => {
            change(url, flags, async |schedules, name| Ok(changed(schedules.pause(name).await?, "paused"))).await
        }
        SchedulesCommand::Resume(flags) => {
            change(url, flags, async |schedules, name| Ok(changed(schedules.resume(name).await?, "resumed"))).await
        }
    }?;
    Ok(ExitCode::SUCCESS)
}

fn changed(is_changed: bool, what: &str) -> (String, Value) {
    let text = if is_changed { what.to_owned() } else { format!("it was {what} already") };
    (text, json!({"changed": is_changed, "state": what}))
}

async fn list(url: &str, output: OutputFlags) -> Result<(), Failure> {
    Operator::run(url, async |operator| {
        let settings = Settings::read(&*operator.client.broker().ledger()).await?;
        let now = operator.clock().now();
        let rows = settings.schedules().map(|(key, entry)| row(&settings, &key, &entry, now)).collect();
        print_rows(rows, &["schedule", "recurrence", "kind", "next", "next_utc", "last_run", "state"], output.json);
        Ok(())
    })
    .await
}

fn row(settings: &Settings, key: &ScheduleKey, entry: &ScheduleEntry, now: Timestamp) -> Value {
    let tick = settings.tick(key);
    let pause = settings.pause(key).filter(|pause| pause.is_paused);
    let recurrence = read(&entry.schedule);
    let after = tick.as_ref().map_or(now, |tick| tick.last.max(now));
    let next = recurrence.as_ref().ok().and_then(|recurrence| recurrence.next_after(after));
    let state = match (&recurrence, &pause, &tick, next) {
        (Err(error), ..) => format!("not run: {error}"),
        (_, Some(pause), ..) => format!("paused since {}", shown(pause.since)),
        (_, _, None, _) => "no worker has seen it yet".into(),
        (_, _, Some(tick), _) if tick.last > now => {
            format!("the clock was set back: nothing until {}", shown(tick.last))
        }
        (_, _, _, None) => "over: it has no further run".into(),
        _ => "active".into(),
    };
    let next = next.filter(|_| pause.is_none());
    let zone = recurrence.as_ref().map(Recurrence::zone).ok();
    json!({
        "schedule": key.to_string(),
        "recurrence": words(&entry.schedule),
        "kind": entry.kind,
        "queue": entry.queue,
        "origin": entry.origin,
        "missed": entry.schedule.missed,
        "overlap": entry.schedule.overlap,
        "jitter_seconds": entry.schedule.jitter_seconds,
        "next": next.zip(zone).map(|(next, zone)| next.with_timezone(&zone).format(FORMAT).to_string()),
        "next_utc": next,
        "last_run": tick.and_then(|tick| tick.fired),
        "state": state,
    })
}

async fn next(url: &str, flags: &NextFlags) -> Result<(), Failure> {
    let schedule = match (&flags.name, &flags.cron) {
        (_, Some(cron)) => Schedule::cron(cron).zone(flags.tz.as_deref().unwrap_or("UTC")),
        (Some(name), None) if flags.tz.is_some() => {
            return Err(Failure::usage(format!(
                "the schedule \"{name}\" has a zone of its own; --tz belongs to --cron"
            )));
        }
        (name, None) => find(url, name.as_deref().unwrap_or_default()).await?.1.schedule,
    };
    let recurrence = read(&schedule).map_err(Failure::data)?;
    // Without a schedule of its own, the command needs no broker.
    let after = flags.after.unwrap_or_else(|| Clock::system().now());
    let following = std::iter::successors(recurrence.next_after(after), |at| recurrence.next_after(*at));
    let rows = following.take(usize::from(flags.count)).map(|at| {
        let local = at.with_timezone(&recurrence.zone());
        json!({"local": local.format(FORMAT).to_string(), "utc": at, "offset": local.format("%:z").to_string()})
    });
    print_rows(rows.collect(), &["local", "utc"], flags.output.json);
    Ok(())
}

/// Finds a schedule by its name, with its application's before it where several have one of that name.
async fn find(url: &str, name: &str) -> Result<(ScheduleKey, ScheduleEntry), Failure> {
    Operator::run(url, async |operator| of_name(operator, name).await).await
}

async fn of_name(operator: &Operator, name: &str) -> Result<(ScheduleKey, ScheduleEntry), Failure> {
    let settings = Settings::read(&*operator.client.broker().ledger()).await?;
    let is_meant = |key: &ScheduleKey| key.name() == name || key.to_string() == name;
    let mut found: Vec<_> = settings.schedules().filter(|(key, _)| is_meant(key)).collect();
    match (found.pop(), found.as_slice()) {
        (Some(one), []) => Ok(one),
        (None, _) => Err(Failure::missing(format!("no schedule is called \"{name}\"; `schedules list` shows all"))),
        (Some((one, _)), [(other, _), ..]) => {
            Err(Failure::usage(format!("\"{name}\" is both \"{other}\" and \"{one}\"; say which")))
        }
    }
}

async fn change(
    url: &str,
    flags: &NameFlags,
    work: impl AsyncFnOnce(&Schedules, &str) -> Result<(String, Value)>,
) -> Result<(), Failure> {
    Operator::run(url, async |operator| {
        let (key, _) = of_name(operator, &flags.name).await?;
        let schedules = operator.client.schedules().of(key.application());
        let (text, json) = work(&schedules, key.name()).await?;
        print_result(&text, &json, flags.output.json);
        Ok(())
    })
    .await
}

fn words(schedule: &Schedule) -> String {
    match &schedule.recurrence {
        Data::Cron { cron, zone } => format!("{cron} {zone}"),
        Data::Every { every_seconds } => {
            format!("every {}", humantime::format_duration(std::time::Duration::from_secs(*every_seconds)))
        }
    }
}

fn shown(at: Timestamp) -> String {
    at.format(FORMAT).to_string()
}
