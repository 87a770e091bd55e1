//! Which messages of a drain may be acknowledged, and how many at once. Pure: sends nothing.

use std::collections::BTreeSet;

/// What was taken from a slot and is not yet acknowledged.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    /// All of it, what is held back included.
    open: BTreeSet<u64>,
    /// What is stored elsewhere. Confirms of several queues come in any order.
    confirmed: BTreeSet<u64>,
}

impl Receipts {
    /// Learns that a message was taken.
    pub(super) fn open(&mut self, tag: u64) {
        self.open.insert(tag);
    }

    /// Learns that a message is stored elsewhere.
    pub(super) fn confirm(&mut self, tag: u64) {
        self.confirmed.insert(tag);
    }

    /// Returns the acknowledgements that are due: each a tag, and whether it stands for all before it, too. That one comes
    /// first, and reaches over nothing that is not confirmed: what it reached over would be lost.
    pub(super) fn take(&mut self) -> Vec<(u64, bool)> {
        let mut through = None;
        while let Some(tag) = self.open.first().copied().filter(|tag| self.confirmed.remove(tag)) {
            self.open.remove(&tag);
            through = Some((tag, true));
        }
        let confirmed = std::mem::take(&mut self.confirmed);
        self.open.retain(|tag| !confirmed.contains(tag));
        through.into_iter().chain(confirmed.into_iter().map(|tag| (tag, false))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(receipts: &mut Receipts, confirmed: &[u64], expected: &[(u64, bool)]) {
        confirmed.iter().for_each(|tag| receipts.confirm(*tag));
        assert_eq!(receipts.take(), expected, "{confirmed:?} are confirmed");
    }

    #[test]
    fn what_is_confirmed_is_acknowledged_at_once_and_never_over_a_gap() {
        let mut receipts = Receipts::default();
        (1..=9).for_each(|tag| receipts.open(tag));
        check(&mut receipts, &[], &[]);
        check(&mut receipts, &[2, 1], &[(2, true)]);
        // 3 is under way, or held back: those behind it don't wait for it.
        check(&mut receipts, &[7, 5], &[(5, false), (7, false)]);
        check(&mut receipts, &[8, 4], &[(4, false), (8, false)]);
        check(&mut receipts, &[3], &[(3, true)]);
        check(&mut receipts, &[6, 9], &[(9, true)]);
        check(&mut receipts, &[], &[]);
    }
}
