//! What a program did to the files of its database, in order: the film from which any moment can be shown again.

/// One step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A file of this name exists from now on.
    Create(String),
    /// The name is gone.
    Remove(String),
    /// Bytes were handed to the system.
    Write { name: String, offset: usize, bytes: Vec<u8> },
    /// The file was cut, or made longer.
    Truncate { name: String, length: usize },
    /// The file is on the disk, as far as the first `covers` events wrote it.
    Sync { name: String, covers: usize },
    /// The names are on the disk, as the first `covers` events made them.
    SyncDirectory { covers: usize },
    /// The program says what it is about to do, or what it was told.
    Mark(String),
}

impl Event {
    /// Returns the file that it is about.
    pub(crate) fn name(&self) -> Option<&str> {
        match self {
            Self::Create(name) | Self::Remove(name) => Some(name),
            Self::Write { name, .. } | Self::Truncate { name, .. } | Self::Sync { name, .. } => Some(name),
            Self::SyncDirectory { .. } | Self::Mark(_) => None,
        }
    }
}

/// Returns the record as a disk would have seen it that answers the flushes of one file without doing them.
pub(crate) fn without_syncs(events: &[Event], file: &str) -> Vec<Event> {
    replace_syncs(events, |_, name| name == file)
}

/// Returns the record as `synchronous=NORMAL` would have made it: the same writes, but the WAL is flushed only after its
/// header and before a checkpoint writes to the database.
pub(crate) fn with_normal(events: &[Event], wal: &str) -> Vec<Event> {
    replace_syncs(events, |at, name| {
        let mut before = events[..at].iter().rev().filter(|event| event.name().is_some());
        let mut after = events[at + 1..].iter().filter(|event| event.name().is_some());
        let follows_header = matches!(before.next(), Some(Event::Write { name, offset: 0, .. }) if name == wal);
        let precedes_checkpoint = !matches!(after.next(), Some(event) if event.name() == Some(wal));
        name == wal && !follows_header && !precedes_checkpoint
    })
}

/// Makes the chosen flushes do nothing. The events keep their places: `covers` counts them.
fn replace_syncs(events: &[Event], is_void: impl Fn(usize, &str) -> bool) -> Vec<Event> {
    let replace = |(at, event): (usize, &Event)| match event {
        Event::Sync { name, .. } if is_void(at, name) => Event::Sync { name: name.clone(), covers: 0 },
        other => other.clone(),
    };
    events.iter().enumerate().map(replace).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(name: &str, offset: usize) -> Event {
        Event::Write { name: name.into(), offset, bytes: vec![1] }
    }

    fn sync(name: &str, covers: usize) -> Event {
        Event::Sync { name: name.into(), covers }
    }

    #[test]
    fn normal_flushes_the_header_and_before_a_checkpoint_only() {
        let events = [
            write("wal", 0),
            sync("wal", 1),
            write("wal", 32),
            sync("wal", 3),
            Event::Mark("ok".into()),
            write("wal", 64),
            sync("wal", 6),
            write("db", 0),
            sync("db", 8),
        ];
        let covers = |events: &[Event]| -> Vec<usize> {
            let covers = |event: &Event| if let Event::Sync { covers, .. } = event { Some(*covers) } else { None };
            events.iter().filter_map(covers).collect()
        };
        assert_eq!(covers(&with_normal(&events, "wal")), [1, 0, 6, 8]);
        assert_eq!(covers(&without_syncs(&events, "db")), [1, 3, 6, 0]);
    }
}
