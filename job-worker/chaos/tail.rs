//! Reads along while processes write their histories: who has unsettled work just now.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::record::{self, Event, SUFFIX, Turn, parse};

/// The histories that are read along.
pub(crate) struct Tail {
    folder: PathBuf,
    open: HashMap<String, Reader>,
}

struct Reader {
    file: File,
    /// The beginning of a line whose end was not there yet.
    rest: Vec<u8>,
    runs: HashSet<Turn>,
    publishes: HashSet<String>,
    /// Orders that were begun.
    made: u64,
    /// Publishes that were confirmed.
    stored: u64,
}

impl Tail {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, open: HashMap::new() }
    }

    /// Returns how many runs, redrives and publishes of a process have begun and not ended.
    pub(crate) fn unsettled(&mut self, process: &str) -> io::Result<usize> {
        let reader = self.read(process)?;
        Ok(reader.runs.len() + reader.publishes.len())
    }

    /// Returns how many orders a producer has begun.
    pub(crate) fn made(&mut self, process: &str) -> io::Result<u64> {
        Ok(self.read(process)?.made)
    }

    /// Returns how many publishes of a process were confirmed.
    pub(crate) fn stored(&mut self, process: &str) -> io::Result<u64> {
        Ok(self.read(process)?.stored)
    }

    /// Forgets a process that is gone.
    pub(crate) fn forget(&mut self, process: &str) {
        self.open.remove(process);
    }

    fn read(&mut self, process: &str) -> io::Result<&Reader> {
        let reader = match self.open.entry(process.to_owned()) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(free) => {
                let file = File::open(self.folder.join(format!("{process}.{SUFFIX}")))?;
                let (rest, runs, publishes) = (Vec::new(), HashSet::new(), HashSet::new());
                free.insert(Reader { file, rest, runs, publishes, made: 0, stored: 0 })
            }
        };
        reader.read()?;
        Ok(reader)
    }
}

impl Reader {
    fn read(&mut self) -> io::Result<()> {
        self.file.read_to_end(&mut self.rest)?;
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        for line in String::from_utf8_lossy(&lines).lines() {
            let record::Record { event, .. } = parse(line)?;
            self.take(event);
        }
        Ok(())
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Invoked { id, then, .. } => {
                // A follower is published by the order that it follows.
                self.made += u64::from(then.is_none());
                if let Some(then) = then {
                    self.publishes.remove(&then);
                }
                self.publishes.insert(id);
            }
            Event::Stored { ref id } | Event::Rejected { ref id, .. } | Event::Unconfirmed { ref id } => {
                self.stored += u64::from(matches!(event, Event::Stored { .. }));
                self.publishes.remove(id);
            }
            Event::Started { turn, .. } | Event::Redriving { turn } => {
                self.runs.insert(turn);
            }
            Event::Settled { turn, .. }
            | Event::Unrecorded { turn }
            | Event::Redriven { turn }
            | Event::Unredriven { turn } => {
                self.runs.remove(&turn);
            }
            _ => {}
        }
    }
}
