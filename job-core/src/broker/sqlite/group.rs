//! Decides how long a group of operations waits for company before it is committed: one flush for all is the point of it.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, after, never};

use crate::broker::sqlite::op::{Manner, Op};

/// Operations of one commit at the most: some 10 ms of work, which the first of them waits for.
const OPS_MAX: usize = 1000;

/// How long a completion waits for company.
const LAZY_MAX: Duration = Duration::from_millis(2);

/// How long a publish waits for those that came together with one before: a tenth of a flush.
const PUBLISH_MAX: Duration = Duration::from_micros(300);

/// The operations of the next commit.
pub(super) struct Group {
    ops: Vec<Box<dyn Op>>,
    is_lazy: bool,
    publishes: usize,
    /// Publishes of the latest group that had any: so many callers are about to come back.
    publishes_before: usize,
    /// Speaks when the time for company is over.
    pub(super) end: Receiver<Instant>,
}

impl Group {
    pub(super) fn new() -> Self {
        Self { ops: Vec::new(), is_lazy: true, publishes: 0, publishes_before: 0, end: never() }
    }

    pub(super) fn push(&mut self, op: Box<dyn Op>) {
        let manner = op.manner();
        if manner == Manner::Lazy && self.ops.is_empty() {
            self.end = after(LAZY_MAX);
        }
        if manner == Manner::Publish {
            if self.publishes == 0 {
                self.end = after(PUBLISH_MAX);
            }
            self.publishes += 1;
        }
        self.is_lazy &= manner == Manner::Lazy;
        self.ops.push(op);
    }

    pub(super) fn is_full(&self) -> bool {
        self.ops.len() >= OPS_MAX
    }

    /// True while it is worth waiting for company, when so many jobs run whose completion could join.
    pub(super) fn has_time(&self, running: usize) -> bool {
        if self.is_lazy {
            return !self.ops.is_empty() && running > 0;
        }
        (1..self.publishes_before).contains(&self.publishes)
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

    #[test]
    fn completions_wait_while_others_may_end_and_nothing_else_came() {
        let mut group = Group::new();
        assert!(!group.has_time(1));
        push(&mut group, 3, Manner::Lazy);
        assert!(group.has_time(1) && !group.has_time(0));
        push(&mut group, 1, Manner::Swift);
        assert!(!group.has_time(1));
        assert_eq!(group.take().len(), 4);
    }

    #[test]
    fn publishes_wait_for_as_many_as_came_before() {
        let mut group = Group::new();
        push(&mut group, 1, Manner::Publish);
        assert!(!group.has_time(0), "the first one has nobody to wait for");
        push(&mut group, 63, Manner::Publish);
        group.take();
        push(&mut group, 1, Manner::Swift);
        assert!(!group.has_time(1), "a claim waits for nobody");
        group.take();
        push(&mut group, 63, Manner::Publish);
        assert!(group.has_time(0));
        push(&mut group, 1, Manner::Publish);
        assert!(!group.has_time(0));
    }
}
