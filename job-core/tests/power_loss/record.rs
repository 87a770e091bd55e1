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
    let replace = |event: &Event| match event {
        // It keeps its place: other flushes count the events before them.
        Event::Sync { name, .. } if name == file => Event::Sync { name: name.clone(), covers: 0 },
        other => other.clone(),
    };
    events.iter().map(replace).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flushes_of_one_file_do_nothing() {
        let sync = |name: &str, covers| Event::Sync { name: name.into(), covers };
        let write = Event::Write { name: "db".into(), offset: 0, bytes: vec![1] };
        let events = [write.clone(), sync("db", 1), sync("wal", 2)];
        assert_eq!(without_syncs(&events, "db"), [write, sync("db", 0), sync("wal", 2)]);
    }
}
