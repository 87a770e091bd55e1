//! Which dead jobs a command is about.

use job_core::clock::Timestamp;
use job_core::envelope::Envelope;
use job_core::name::{JobId, QueueName};

use crate::cli::args::{FilterFlags, SelectionFlags};
use crate::cli::exit::Failure;

/// What a dead job must be like.
#[derive(Debug, PartialEq)]
pub(super) enum Wanted {
    Id(JobId),
    All,
    Error(String),
}

/// Dead jobs, chosen by an operator.
#[derive(Debug, PartialEq)]
pub(super) struct Selection {
    pub(super) wanted: Wanted,
    /// The dead queue to look into; `None` is all of them.
    pub(super) queue: Option<QueueName>,
    /// When the command was given.
    until: Timestamp,
}

impl Selection {
    /// Reads the flags: an id, all, or those with a text in their error, and one of these only.
    pub(super) fn new(flags: &SelectionFlags, now: Timestamp) -> Result<Self, Failure> {
        let text = text(&flags.filter)?;
        let wanted = match (&flags.id, flags.all, text) {
            (Some(id), false, None) => Wanted::Id(id.clone()),
            (None, true, None) => Wanted::All,
            (None, false, Some(text)) => Wanted::Error(text.into()),
            (None, false, None) => {
                return Err(Failure::usage(
                    "no dead job is named; give one's id, or say --all or --error-contains TEXT",
                ));
            }
            _ => return Err(Failure::usage("an id, --all and --error-contains exclude each other; give one of them")),
        };
        Ok(Self { wanted, queue: flags.filter.queue.clone(), until: now })
    }

    /// Selects one job.
    pub(super) fn one(id: JobId, queue: Option<QueueName>, now: Timestamp) -> Self {
        Self { wanted: Wanted::Id(id), queue, until: now }
    }

    /// Selects what is listed.
    pub(super) fn listed(flags: &FilterFlags, now: Timestamp) -> Result<Self, Failure> {
        let wanted = text(flags)?.map_or(Wanted::All, |text| Wanted::Error(text.into()));
        Ok(Self { wanted, queue: flags.queue.clone(), until: now })
    }

    /// True for a job that is selected.
    pub(super) fn matches(&self, envelope: &Envelope) -> bool {
        let death = envelope.details.death.as_ref();
        // A job that dies again at once would be retried for ever, and one that nobody counted would be purged.
        if death.is_some_and(|death| death.at > self.until) {
            return false;
        }
        match &self.wanted {
            Wanted::Id(id) => envelope.id == *id,
            Wanted::All => true,
            Wanted::Error(text) => death.is_some_and(|death| death.error.contains(text)),
        }
    }
}

fn text(flags: &FilterFlags) -> Result<Option<&str>, Failure> {
    match flags.error_contains.as_deref() {
        // Each error contains it: not what somebody means whose variable is empty.
        Some("") => Err(Failure::usage("--error-contains has no text; give it some, or leave it out")),
        text => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use job_core::envelope::DeathReason;
    use job_core::name::Kind;

    use super::*;

    fn at(second: u32) -> Timestamp {
        format!("2026-01-01T00:00:{second:02}Z").parse().unwrap()
    }

    fn dead(id: &str, error: &str, second: u32) -> Envelope {
        let mut envelope =
            Envelope::new(JobId::parse(id).unwrap(), Kind::parse("work").unwrap(), b"{}".to_vec(), at(0));
        envelope.declare_dead(at(second), DeathReason::Attempts, error);
        envelope
    }

    fn flags(id: Option<&str>, all: bool, error_contains: Option<&str>) -> SelectionFlags {
        let filter = FilterFlags { queue: None, error_contains: error_contains.map(Into::into) };
        SelectionFlags { id: id.map(|id| JobId::parse(id).unwrap()), all, filter }
    }

    fn check(flags: &SelectionFlags, expected: Result<Wanted, &str>) {
        let selection = Selection::new(flags, at(9)).map(|selection| selection.wanted);
        assert_eq!(selection.map_err(|failure| failure.to_string()), expected.map_err(Into::into), "{flags:?}");
    }

    #[test]
    fn one_way_of_choosing_is_needed_and_only_one() {
        check(&flags(Some("a"), false, None), Ok(Wanted::Id(JobId::parse("a").unwrap())));
        check(&flags(None, true, None), Ok(Wanted::All));
        check(&flags(None, false, Some("disk")), Ok(Wanted::Error("disk".into())));
        let none = "no dead job is named; give one's id, or say --all or --error-contains TEXT";
        check(&flags(None, false, None), Err(none));
        let several = "an id, --all and --error-contains exclude each other; give one of them";
        check(&flags(Some("a"), true, None), Err(several));
        check(&flags(Some("a"), false, Some("disk")), Err(several));
        check(&flags(None, true, Some("disk")), Err(several));
        let empty = "--error-contains has no text; give it some, or leave it out";
        check(&flags(None, false, Some("")), Err(empty));
    }

    #[test]
    fn a_job_is_selected_by_id_or_error_and_never_when_it_died_later() {
        let check = |flags: &SelectionFlags, envelope: &Envelope, expected: bool| {
            assert_eq!(Selection::new(flags, at(9)).unwrap().matches(envelope), expected, "{flags:?} {envelope:?}");
        };
        check(&flags(Some("a"), false, None), &dead("a", "", 1), true);
        check(&flags(Some("a"), false, None), &dead("b", "", 1), false);
        check(&flags(None, false, Some("full")), &dead("a", "disk full", 1), true);
        check(&flags(None, false, Some("Full")), &dead("a", "disk full", 1), false);
        check(&flags(None, true, None), &dead("a", "disk full", 9), true);
        check(&flags(None, true, None), &dead("a", "disk full", 10), false);
        let mut foreign = dead("a", "", 1);
        foreign.details.death = None;
        check(&flags(None, true, None), &foreign, true);
        check(&flags(None, false, Some("full")), &foreign, false);
    }
}
