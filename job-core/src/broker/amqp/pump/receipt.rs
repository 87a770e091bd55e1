//! Which messages of a drain may be acknowledged, and how many at once. Pure: sends nothing.

use std::collections::BTreeSet;

/// So many that wait behind a gap are acknowledged one by one: a quarter of what is taken ahead, so that more comes.
const SINGLE_MIN: usize = 64;

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
    /// first, and reaches over nothing that is not confirmed: what it reached over would be lost. The others stay, until
    /// they are many: most come to stand behind no gap any more.
    pub(super) fn take(&mut self) -> Vec<(u64, bool)> {
        let mut through = None;
        while let Some(tag) = self.open.first().copied().filter(|tag| self.confirmed.remove(tag)) {
            self.open.remove(&tag);
            through = Some((tag, true));
        }
        if self.confirmed.len() < SINGLE_MIN {
            return through.into_iter().collect();
        }
        through.into_iter().chain(self.take_rest()).collect()
    }

    /// Returns an acknowledgement for each that is confirmed.
    pub(super) fn take_rest(&mut self) -> Vec<(u64, bool)> {
        let confirmed = std::mem::take(&mut self.confirmed);
        self.open.retain(|tag| !confirmed.contains(tag));
        confirmed.into_iter().map(|tag| (tag, false)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_confirmed_is_acknowledged_together_and_never_over_a_gap() {
        let mut receipts = Receipts::default();
        (1..=200).for_each(|tag| receipts.open(tag));
        let mut check = |confirmed: &[u64], expected: &[(u64, bool)]| {
            confirmed.iter().for_each(|tag| receipts.confirm(*tag));
            assert_eq!(receipts.take(), expected, "{confirmed:?} are confirmed");
        };
        check(&[], &[]);
        check(&[2, 1], &[(2, true)]);
        // 3 is under way, or held back.
        check(&[7, 5], &[]);
        check(&[4], &[]);
        check(&[3], &[(5, true)]);
        check(&[8, 6], &[(8, true)]);
        // Without 9, until so many wait that they would fill what is taken ahead.
        let many: Vec<u64> = (10..73).collect();
        check(&many, &[]);
        check(&[100], &many.iter().chain(&[100]).map(|tag| (*tag, false)).collect::<Vec<_>>());
        check(&[9, 73], &[(9 + 64, true)]);
        check(&[80], &[]);
        assert_eq!(receipts.take_rest(), [(80, false)]);
        assert_eq!(receipts.take_rest(), []);
    }
}
