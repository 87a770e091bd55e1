//! A disk that can lose its power: it knows what is on the platter, and what the system merely promised to write.
//!
//! Assumed is what SQLite assumes of any disk (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`): a write harms no bytes beside its own.
//! Everything else may happen to what was not flushed: it is dropped, kept, torn at sectors or written in another order.
//! Names (a file that was made or removed) last only once their directory is flushed.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;

use crate::record::Event;

const SECTOR: usize = 512;

/// The files that a moment leaves behind.
pub(crate) type Image = BTreeMap<String, Vec<u8>>;

/// The state of the disk after some events.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    /// Counts the events.
    now: usize,
    files: Vec<File>,
    /// Names on the platter.
    names: BTreeMap<String, usize>,
    /// Names made and removed since, each with the number of its event.
    names_pending: Vec<(usize, String, Option<usize>)>,
}

#[derive(Clone, Debug, Default)]
struct File {
    platter: Vec<u8>,
    pending: Vec<(usize, Change)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

/// What becomes of the pending changes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing reached the platter.
    Dropped,
    /// Everything did.
    Kept,
    /// The first ones did.
    Prefix,
    /// The first ones did, the last of them in part.
    PrefixTorn,
    /// Any of them did.
    Some,
    /// Any of their sectors did.
    Torn,
    /// Any of them did, in another order.
    Reordered,
}

impl Fate {
    /// All of them.
    pub(crate) const ALL: [Self; 7] =
        [Self::Dropped, Self::Kept, Self::Prefix, Self::PrefixTorn, Self::Some, Self::Torn, Self::Reordered];
}

impl Disk {
    /// Goes on by one event.
    pub(crate) fn apply(&mut self, event: &Event) {
        let now = self.now;
        self.now += 1;
        match event {
            Event::Create(name) => {
                if self.find(name).is_none() {
                    self.files.push(File::default());
                    self.names_pending.push((now, name.clone(), Some(self.files.len() - 1)));
                }
            }
            Event::Remove(name) => self.names_pending.push((now, name.clone(), None)),
            Event::Write { name, offset, bytes } => {
                self.file(name).pending.push((now, Change::Write { offset: *offset, bytes: bytes.clone() }));
            }
            Event::Truncate { name, length } => self.file(name).pending.push((now, Change::Truncate(*length))),
            Event::Sync { name, covers } => self.file(name).sync(*covers),
            Event::SyncDirectory { covers } => {
                let (kept, pending) = self.names_pending.drain(..).partition(|(at, ..)| at < covers);
                self.names_pending = pending;
                let kept: Vec<(usize, String, Option<usize>)> = kept;
                kept.into_iter().for_each(|(_, name, file)| set(&mut self.names, &name, file));
            }
            Event::Mark(_) => {}
        }
    }

    /// Returns the files as the program sees them.
    pub(crate) fn seen(&self) -> Image {
        self.resolve(|_| usize::MAX, |file| file.settle(Fate::Kept, &mut Rng::with_seed(0)))
    }

    /// Returns what a loss of power leaves, by chance.
    pub(crate) fn lose_power(&self, rng: &mut Rng) -> Image {
        let pending: BTreeSet<&String> = self.names_pending.iter().map(|(_, name, _)| name).collect();
        let counts: BTreeMap<&String, usize> =
            pending.into_iter().map(|name| (name, rng.usize(0..=self.names_pending.len()))).collect();
        self.resolve(
            |name| counts.get(name).copied().unwrap_or(0),
            |file| {
                let fate = Fate::ALL[rng.usize(0..Fate::ALL.len())];
                file.settle(fate, rng)
            },
        )
    }

    /// Returns the files under their names, when of the pending ones of each name so many have reached the platter.
    fn resolve(&self, count: impl Fn(&String) -> usize, mut content: impl FnMut(&File) -> Vec<u8>) -> Image {
        let mut names = self.names.clone();
        for (at, (_, name, file)) in self.names_pending.iter().enumerate() {
            if at < count(name) {
                set(&mut names, name, *file);
            }
        }
        names.into_iter().map(|(name, file)| (name, content(&self.files[file]))).collect()
    }

    fn find(&self, name: &str) -> Option<usize> {
        let pending = self.names_pending.iter().rev().find(|(_, other, _)| other == name);
        pending.map_or_else(|| self.names.get(name).copied(), |(.., file)| *file)
    }

    fn file(&mut self, name: &str) -> &mut File {
        let number = self.find(name).expect("what is written was made before");
        &mut self.files[number]
    }
}

impl File {
    fn sync(&mut self, covers: usize) {
        let (kept, pending) = self.pending.drain(..).partition(|(at, _)| *at < covers);
        self.pending = pending;
        let kept: Vec<(usize, Change)> = kept;
        kept.iter().for_each(|(_, change)| change.apply(&mut self.platter));
    }

    fn settle(&self, fate: Fate, rng: &mut Rng) -> Vec<u8> {
        let mut content = self.platter.clone();
        if self.pending.is_empty() {
            return content;
        }
        let changes: Vec<Change> = self.pending.iter().map(|(_, change)| change.clone()).collect();
        let kept = choose(changes, fate, rng);
        kept.iter().for_each(|change| change.apply(&mut content));
        // The length may be on the platter before the bytes are.
        if fate != Fate::Kept && rng.u8(0..4) == 0 {
            let length = self.pending.iter().map(|(_, change)| change.end()).max().unwrap_or(0);
            content.resize(content.len().max(length), 0);
        }
        content
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                content.resize(content.len().max(self.end()), 0);
                content[*offset..offset + bytes.len()].copy_from_slice(bytes);
            }
            Self::Truncate(length) => content.resize(*length, 0),
        }
    }

    fn end(&self) -> usize {
        match self {
            Self::Write { offset, bytes } => offset + bytes.len(),
            Self::Truncate(length) => *length,
        }
    }

    /// Cuts a write where a sector ends.
    fn sectors(self) -> Vec<Self> {
        let Self::Write { offset, mut bytes } = self else { return vec![self] };
        let mut at = offset;
        let mut parts = Vec::new();
        while !bytes.is_empty() {
            let rest = bytes.split_off(bytes.len().min(SECTOR - at % SECTOR));
            let length = bytes.len();
            parts.push(Self::Write { offset: at, bytes: std::mem::replace(&mut bytes, rest) });
            at += length;
        }
        parts
    }
}

/// Returns the changes that reach the platter, in the order in which they do.
fn choose(mut changes: Vec<Change>, fate: Fate, rng: &mut Rng) -> Vec<Change> {
    match fate {
        Fate::Dropped => Vec::new(),
        Fate::Kept => changes,
        Fate::Prefix => {
            changes.truncate(rng.usize(0..=changes.len()));
            changes
        }
        Fate::PrefixTorn => {
            changes.truncate(rng.usize(1..=changes.len()));
            let last = changes.pop().map(Change::sectors).unwrap_or_default();
            changes.extend(some(last, rng));
            changes
        }
        Fate::Some => some(changes, rng),
        Fate::Torn => some(changes.into_iter().flat_map(Change::sectors).collect(), rng),
        Fate::Reordered => {
            let mut kept = some(changes, rng);
            // No file system moves a write past a cut of the same file.
            kept.split_mut(|change| matches!(change, Change::Truncate(_))).for_each(|writes| rng.shuffle(writes));
            kept
        }
    }
}

fn some(changes: Vec<Change>, rng: &mut Rng) -> Vec<Change> {
    let odds = rng.f32();
    changes.into_iter().filter(|_| rng.f32() < odds).collect()
}

fn set(names: &mut BTreeMap<String, usize>, name: &str, file: Option<usize>) {
    match file {
        Some(file) => names.insert(name.to_owned(), file),
        None => names.remove(name),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(offset: usize, byte: u8, length: usize) -> Event {
        Event::Write { name: "f".into(), offset, bytes: vec![byte; length] }
    }

    fn disk(events: &[Event]) -> Disk {
        let mut disk = Disk::default();
        events.iter().for_each(|event| disk.apply(event));
        disk
    }

    /// Returns each content that the file of a disk can have, `None` where it is not there.
    fn outcomes(events: &[Event]) -> BTreeSet<Option<Vec<u8>>> {
        let disk = disk(events);
        (0..4000).map(|seed| disk.lose_power(&mut Rng::with_seed(seed)).remove("f")).collect()
    }

    /// Returns the contents that one fate can give to a file of `old` bytes 1 with the changes pending.
    fn settle(fate: Fate, old: usize, changes: &[Event]) -> BTreeSet<Vec<u8>> {
        let mut events = vec![Event::Create("f".into()), write(0, 1, old), Event::Sync { name: "f".into(), covers: 2 }];
        events.extend_from_slice(changes);
        let disk = disk(&events);
        (0..2000).map(|seed| disk.files[0].settle(fate, &mut Rng::with_seed(seed))).collect()
    }

    fn made() -> [Event; 2] {
        [Event::Create("f".into()), Event::SyncDirectory { covers: 1 }]
    }

    #[test]
    fn what_was_flushed_is_in_every_image() {
        let [create, names] = made();
        let sync = Event::Sync { name: "f".into(), covers: 3 };
        assert_eq!(outcomes(&[create, names, write(0, 7, 9), sync]), [Some(vec![7; 9])].into());
    }

    #[test]
    fn what_was_not_flushed_may_be_there_or_not() {
        let [create, names] = made();
        let found = outcomes(&[create, names, write(0, 7, 2)]);
        // The last one is a file whose length has reached the platter before its bytes.
        assert_eq!(found, [Some(vec![]), Some(vec![7; 2]), Some(vec![0; 2])].into());
    }

    #[test]
    fn a_flush_covers_only_what_came_before_it_began() {
        let [create, names] = made();
        let found =
            outcomes(&[create, names, write(0, 7, 1), write(1, 8, 1), Event::Sync { name: "f".into(), covers: 3 }]);
        assert_eq!(found, [Some(vec![7]), Some(vec![7, 8]), Some(vec![7, 0])].into());
    }

    #[test]
    fn a_name_lasts_only_when_its_directory_was_flushed() {
        let sync = Event::Sync { name: "f".into(), covers: 2 };
        let events = [Event::Create("f".into()), write(0, 7, 1), sync];
        assert_eq!(outcomes(&events), [None, Some(vec![7])].into());
        let [create, names] = made();
        let sync = Event::Sync { name: "f".into(), covers: 3 };
        let events = [create, names, write(0, 7, 1), sync, Event::Remove("f".into())];
        assert_eq!(outcomes(&events), [None, Some(vec![7])].into());
    }

    #[test]
    fn a_name_made_again_is_another_file() {
        let [create, names] = made();
        let events =
            [create, names, write(0, 7, 1), Event::Remove("f".into()), Event::Create("f".into()), write(0, 8, 1)];
        let found = outcomes(&events);
        assert!(found.contains(&None) && found.contains(&Some(vec![7])) && found.contains(&Some(vec![8])), "{found:?}");
        assert_eq!(disk(&events).seen().remove("f"), Some(vec![8]));
    }

    #[test]
    fn a_torn_write_has_old_and_new_sectors() {
        let found = settle(Fate::Torn, 1536, &[write(100, 2, 1100)]);
        let (first, middle, last) = (vec![2; 412], vec![2; 512], vec![2; 176]);
        let mix = |parts: [bool; 3]| {
            let mut content = vec![1; 1536];
            let places = [(100, &first), (512, &middle), (1024, &last)];
            for ((at, bytes), _) in places.into_iter().zip(parts).filter(|(_, is_new)| *is_new) {
                content[at..at + bytes.len()].copy_from_slice(bytes);
            }
            content
        };
        let all: BTreeSet<Vec<u8>> = (0..8).map(|bits| mix([bits & 1 != 0, bits & 2 != 0, bits & 4 != 0])).collect();
        assert_eq!(found, all);
    }

    #[test]
    fn reordered_writes_leave_the_older_one_on_top() {
        let found = settle(Fate::Reordered, 1, &[write(0, 2, 1), write(0, 3, 1)]);
        assert_eq!(found, [vec![1], vec![2], vec![3]].into());
        let kept_in_order = settle(Fate::Prefix, 1, &[write(0, 2, 1), write(1, 3, 1)]);
        // Never the second without the first; the length alone may run ahead.
        assert_eq!(kept_in_order, [vec![1], vec![2], vec![2, 3], vec![1, 0], vec![2, 0]].into());
        let any = settle(Fate::Some, 1, &[write(0, 2, 1), write(1, 3, 1)]);
        assert!(any.contains(&vec![1, 3]));
    }

    #[test]
    fn a_cut_may_be_lost_and_is_passed_by_no_write() {
        let cut = Event::Truncate { name: "f".into(), length: 0 };
        let found = settle(Fate::Reordered, 2, &[cut, write(0, 5, 1)]);
        assert_eq!(found, [vec![1, 1], vec![5, 1], vec![], vec![5], vec![0]].into());
    }
}
