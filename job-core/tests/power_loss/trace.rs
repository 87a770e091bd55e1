//! Reads what `strace` wrote: the calls of the real program on the real files, as the system saw them.
//!
//! A call counts when it has returned. A flush covers what had returned before it began: what another thread writes
//! meanwhile may or may not be in it.

use std::collections::HashMap;
use std::path::Path;

use crate::record::Event;

/// The calls that change files; the reader refuses those of them that it does not know.
pub(crate) const CALLS: &str = "openat,open,creat,unlink,unlinkat,rename,renameat,renameat2,pwrite64,pwritev,pwritev2,\
                                ftruncate,truncate,fallocate,fsync,fdatasync,sync_file_range";

/// The file into which the program writes its marks.
pub(crate) const MARKS: &str = "marks";

/// Reads the lines of a trace, and returns what happened to the files `files` of a directory.
pub(crate) fn read<'a>(lines: impl Iterator<Item = &'a [u8]>, directory: &Path, files: &[&str]) -> Vec<Event> {
    let mut reader = Reader { prefix: format!("{}/", directory.display()), files, events: Vec::new() };
    let mut begun: HashMap<Vec<u8>, (Vec<u8>, usize)> = HashMap::new();
    for line in lines {
        let gap = line.iter().position(|b| *b == b' ').expect("a line begins with the number of a thread");
        let (thread, rest) = (&line[..gap], line[gap..].trim_ascii());
        if let Some(call) = rest.strip_suffix(b" <unfinished ...>") {
            begun.insert(thread.to_vec(), (call.to_vec(), reader.events.len()));
        } else if rest.starts_with(b"<... ") {
            let (mut call, entered) = begun.remove(thread).expect("what is resumed was begun");
            let end = find(rest, b"resumed>").expect("a resumed call says so");
            call.extend_from_slice(&rest[end + b"resumed>".len()..]);
            reader.call(&call, entered);
        } else {
            let entered = reader.events.len();
            reader.call(rest, entered);
        }
    }
    reader.events
}

struct Reader<'a> {
    prefix: String,
    files: &'a [&'a str],
    events: Vec<Event>,
}

impl Reader<'_> {
    fn call(&mut self, text: &[u8], entered: usize) {
        let Some(paren) = text.iter().position(|b| *b == b'(') else { return };
        let (call, rest) = (&text[..paren], &text[paren + 1..]);
        let Some(answer) = find_last(rest, b" = ") else { return };
        let (arguments, answer) = (&rest[..answer], &rest[answer + 3..]);
        if answer.starts_with(b"-1") {
            return;
        }
        let event = match call {
            b"openat" | b"unlink" | b"unlinkat" => self.by_path(call, arguments),
            b"pwrite64" | b"ftruncate" | b"fsync" | b"fdatasync" => self.by_handle(call, arguments, answer, entered),
            _ => {
                let about = String::from_utf8_lossy(&text[..text.len().min(200)]);
                let is_ours = self.files.iter().any(|name| about.contains(&format!("{}{name}", self.prefix)));
                assert!(!is_ours, "the trace has a call that its reader does not know: {about}");
                None
            }
        };
        self.events.extend(event);
    }

    fn by_path(&self, call: &[u8], arguments: &[u8]) -> Option<Event> {
        let start = arguments.iter().position(|b| *b == b'"')?;
        let (path, end) = unescape(&arguments[start + 1..]);
        let name = self.name(&path)?;
        if call != b"openat" {
            return Some(Event::Remove(name));
        }
        // Opening for reading makes nothing; creating what exists changes nothing, which the disk knows.
        find(&arguments[start + 1 + end..], b"O_CREAT").map(|_| Event::Create(name))
    }

    fn by_handle(&self, call: &[u8], arguments: &[u8], answer: &[u8], entered: usize) -> Option<Event> {
        // "= ?": the process died in the call, and nothing was told to have come of it.
        if !answer.iter().any(u8::is_ascii_digit) {
            return None;
        }
        let open = arguments.iter().position(|b| *b == b'<')?;
        let close = open + arguments[open..].iter().position(|b| *b == b'>')?;
        let (path, rest) = (&arguments[open + 1..close], &arguments[close + 1..]);
        let is_flush = matches!(call, b"fsync" | b"fdatasync");
        if is_flush && path == self.prefix.trim_end_matches('/').as_bytes() {
            return Some(Event::SyncDirectory { covers: entered });
        }
        if call == b"pwrite64" && path == format!("{}{MARKS}", self.prefix).as_bytes() {
            return Some(Event::Mark(String::from_utf8(text(rest)?.0).expect("marks are text")));
        }
        let name = self.name(path)?;
        if is_flush {
            return Some(Event::Sync { name, covers: entered });
        }
        if call == b"ftruncate" {
            return Some(Event::Truncate { name, length: number(rest) });
        }
        let (mut bytes, end) = text(rest)?;
        let offset = number(&rest[end..]);
        // What was not taken was not written.
        bytes.truncate(number(answer));
        Some(Event::Write { name, offset, bytes })
    }

    fn name(&self, path: &[u8]) -> Option<String> {
        let name = path.strip_prefix(self.prefix.as_bytes())?;
        self.files.iter().find(|file| file.as_bytes() == name).map(|file| (*file).to_owned())
    }
}

/// Returns the first quoted text, and where it ends.
fn text(arguments: &[u8]) -> Option<(Vec<u8>, usize)> {
    let start = arguments.iter().position(|b| *b == b'"')? + 1;
    let (bytes, end) = unescape(&arguments[start..]);
    assert!(!arguments[start + end..].starts_with(b"\"..."), "the trace cut a text short");
    Some((bytes, start + end))
}

/// Returns the last number of a list of arguments.
fn number(arguments: &[u8]) -> usize {
    let digits: Vec<u8> = arguments
        .iter()
        .rev()
        .skip_while(|b| !b.is_ascii_digit())
        .take_while(|b| b.is_ascii_digit())
        .copied()
        .collect();
    let digits: String = digits.iter().rev().map(|b| char::from(*b)).collect();
    digits.parse().expect("the last argument is a number")
}

/// Reads a quoted text as C would, and returns where its closing quote is.
fn unescape(text: &[u8]) -> (Vec<u8>, usize) {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut at = 0;
    while text[at] != b'"' {
        if text[at] != b'\\' {
            bytes.push(text[at]);
            at += 1;
            continue;
        }
        at += 1;
        let octal = text[at..].iter().take(3).take_while(|b| (b'0'..=b'7').contains(*b)).count();
        if octal > 0 {
            bytes.push(text[at..at + octal].iter().fold(0_u8, |sum, b| sum.wrapping_mul(8).wrapping_add(b - b'0')));
            at += octal;
            continue;
        }
        bytes.push(match text[at] {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'v' => 0x0b,
            b'f' => 0x0c,
            other => other,
        });
        at += 1;
    }
    (bytes, at)
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

fn find_last(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).rposition(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_become_events_when_they_return() {
        let lines = r#"7 openat(AT_FDCWD</x>, "/d/jobs.db", O_RDWR|O_CREAT|O_NOFOLLOW|O_CLOEXEC, 0644) = 5</d/jobs.db>
7 openat(AT_FDCWD</x>, "/d/other", O_RDWR|O_CREAT, 0644) = 6</d/other>
7 pwrite64(5</d/jobs.db>, "a\0012\0\"\n\377", 7, 4096) = 7
8 fsync(5</d/jobs.db> <unfinished ...>
7 pwrite64(5</d/jobs.db>, "bc", 2, 0) = 1
8 <... fsync resumed>) = 0
7 ftruncate(5</d/jobs.db>, 42) = 0
7 pwrite64(9</d/marks>, "ok a 1\n", 7, 0) = 7
7 fsync(6</d>) = 0
7 unlink("/d/jobs.db") = 0
7 unlink("/d/jobs.db") = -1 ENOENT (No such file or directory)
7 +++ exited with 0 +++"#;
        let events = read(lines.lines().map(str::as_bytes), Path::new("/d"), &["jobs.db"]);
        let name = || "jobs.db".to_owned();
        assert_eq!(
            events,
            [
                Event::Create(name()),
                Event::Write { name: name(), offset: 4096, bytes: b"a\x012\0\"\n\xff".to_vec() },
                Event::Write { name: name(), offset: 0, bytes: b"b".to_vec() },
                Event::Sync { name: name(), covers: 2 },
                Event::Truncate { name: name(), length: 42 },
                Event::Mark("ok a 1\n".into()),
                Event::SyncDirectory { covers: 6 },
                Event::Remove(name()),
            ]
        );
    }
}
