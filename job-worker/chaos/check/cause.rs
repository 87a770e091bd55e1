//! What made the duplicates: which fault fell into which work. A likely answer, for whoever wants fewer of them; no rule
//! depends on it.

use std::collections::BTreeMap;

use crate::record::Fault;

/// A fault, and what it cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cause {
    pub(crate) fault: Fault,
    pub(crate) work: Work,
}

/// What may be under way when a fault falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    /// A run, or its record.
    Run,
    /// A publish.
    Publish,
    /// A redrive.
    Redrive,
    /// The move of a job that is due.
    Move,
    /// The move of a job that had no queue.
    Sweep,
    /// The run of the job that stores this one.
    Follow,
}

/// How many duplicates each cause has made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Causes(BTreeMap<Cause, usize>);

impl Causes {
    pub(crate) fn add(&mut self, cause: Cause) {
        *self.0.entry(cause).or_default() += 1;
    }

    /// Returns a line, the cause of the most duplicates first; `None` when there are none.
    pub(crate) fn line(&self) -> Option<String> {
        let mut causes: Vec<_> = self.0.iter().collect();
        causes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let text = |(cause, count): &(&Cause, &usize)| format!("{:?} in {:?} {count}", cause.fault, cause.work);
        let texts: Vec<_> = causes.iter().map(text).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }
}
