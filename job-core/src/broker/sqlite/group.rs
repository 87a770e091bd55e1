//! Decides how long a group of operations waits for company before it is committed: one flush for all is the point of it.

use std::time::Duration;

use crate::broker::sqlite::inbox::Company;
use crate::broker::sqlite::op::{Manner, Op};

/// Operations of one commit at the most: some 10 ms of work, which the first of them waits for.
const OPS_MAX: usize = 1000;

/// How long a completion waits for company.
const LAZY_MAX: Duration = Duration::from_millis(2);

/// How long a publish waits for those that came together with one before: a tenth of a flush.
const PUBLISH_MAX: Duration = Duration::from_micros(300);

/// How often it waits again because some of those have come: a busy machine brings them late.
const PUBLISH_WAITS_MAX: u32 = 4;

/// The operations of the next commit.
pub(super) struct Group {
    ops: Vec<Box<dyn Op>>,
    is_lazy: bool,
    publishes: usize,
    /// Publishes of the latest group that had any: so many callers are about to come back.
    publishes_before: usize,
    /// It has waited for completions, which it does once.
    has_waited_lazily: bool,
    /// How often it has waited for publishes, and how many it had by then.
    publish_waits: u32,
    publishes_awaited: usize,
}

impl Group {
    pub(super) fn new() -> Self {
        Self {
            ops: Vec::new(),
            is_lazy: true,
            publishes: 0,
            publishes_before: 0,
            has_waited_lazily: false,
            publish_waits: 0,
            publishes_awaited: 0,
        }
    }

    pub(super) fn push(&mut self, op: Box<dyn Op>) {
        let manner = op.manner();
        self.publishes += usize::from(manner == Manner::Publish);
        self.is_lazy &= manner == Manner::Lazy;
        self.ops.push(op);
    }

    pub(super) fn has_publishes(&self) -> bool {
        self.publishes > 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.ops.len() >= OPS_MAX
    }

    /// Returns for whom it is worth waiting, and for how long, when so many jobs run whose completion could join.
    pub(super) fn company(&mut self, running: usize) -> Option<(Company, Duration)> {
        if self.ops.is_empty() || self.is_full() {
            return None;
        }
        if self.is_lazy {
            let is_worth_it = running > 0 && !std::mem::replace(&mut self.has_waited_lazily, true);
            return is_worth_it.then_some((Company::Urgent, LAZY_MAX));
        }
        let missing = self.publishes_before.saturating_sub(self.publishes);
        let has_more = self.publishes > std::mem::replace(&mut self.publishes_awaited, self.publishes);
        if missing == 0 || !has_more || self.publish_waits == PUBLISH_WAITS_MAX {
            return None;
        }
        self.publish_waits += 1;
        Some((Company::Publishes(missing), PUBLISH_MAX))
    }

    /// Returns the operations, and begins anew.
    pub(super) fn take(&mut self) -> Vec<Box<dyn Op>> {
        let publishes = if self.publishes > 0 { self.publishes } else { self.publishes_before };
        let full = std::mem::replace(self, Self { publishes_before: publishes, ..Self::new() });
        full.ops
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::broker::sqlite::fault::Fault;
    use crate::broker::sqlite::session::Session;

    struct Nothing(Manner);

    impl Op for Nothing {
        fn manner(&self) -> Manner {
            self.0
        }

        fn apply(&mut self, _: &mut Session) -> Result<(), Fault> {
            Ok(())
        }

        fn answer(self: Box<Self>, _: Result<(), Fault>) {}
    }

    fn push(group: &mut Group, count: usize, manner: Manner) {
        (0..count).for_each(|_| group.push(Box::new(Nothing(manner))));
    }

    fn awaited(group: &mut Group, running: usize) -> Option<Company> {
        group.company(running).map(|(company, _)| company)
    }

    #[test]
    fn completions_wait_once_while_others_may_end_and_nothing_else_came() {
        let mut group = Group::new();
        assert_eq!(awaited(&mut group, 1), None);
        push(&mut group, 3, Manner::Lazy);
        assert_eq!(awaited(&mut group, 0), None);
        let mut group = Group::new();
        push(&mut group, 3, Manner::Lazy);
        assert_eq!(awaited(&mut group, 1), Some(Company::Urgent));
        assert_eq!(awaited(&mut group, 1), None);
        assert_eq!(group.take().len(), 3);
        push(&mut group, 1, Manner::Lazy);
        push(&mut group, 1, Manner::Swift);
        assert_eq!(awaited(&mut group, 1), None);
    }

    #[test]
    fn publishes_wait_for_as_many_as_came_before() {
        let mut group = Group::new();
        push(&mut group, 64, Manner::Publish);
        assert_eq!(awaited(&mut group, 0), None, "the first ones have nobody to wait for");
        group.take();
        push(&mut group, 1, Manner::Swift);
        assert_eq!(awaited(&mut group, 1), None, "a claim waits for nobody");
        group.take();
        push(&mut group, 62, Manner::Publish);
        assert_eq!(awaited(&mut group, 0), Some(Company::Publishes(2)));
        assert_eq!(awaited(&mut group, 0), None, "nobody came");
    }

    #[test]
    fn publishes_wait_again_while_some_come_and_not_for_ever() {
        let mut group = Group::new();
        push(&mut group, 64, Manner::Publish);
        group.take();
        let waits = (0..64).take_while(|_| {
            push(&mut group, 1, Manner::Publish);
            awaited(&mut group, 0).is_some()
        });
        assert_eq!(waits.count(), 4);
    }
}
