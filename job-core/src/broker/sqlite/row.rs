//! A job between its columns and its envelope.
//!
//! Instants are kept to the microsecond: what is finer is cut off, towards the past.

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Row as SqlRow, ToSql};

use crate::broker::sqlite::schema::{DELAYED, READY};
use crate::clock::Timestamp;
use crate::envelope::{Content, Details, Envelope};
use crate::name::{JobId, Kind};

/// The columns of a [`Row`], in the order in which it reads them.
pub(super) const COLUMNS: &str = "seq, due, redeliveries, id, kind, content, enqueued_at, not_before, attempt, sequence, \
                                  details, payload";

/// A stored job, undecoded: the thread that writes has better things to do.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) due: i64,
    pub(super) redeliveries: u32,
    id: Value,
    kind: Option<String>,
    content: i64,
    enqueued_at: i64,
    not_before: Option<i64>,
    attempt: u32,
    sequence: u32,
    details: Option<String>,
    payload: Vec<u8>,
}

impl Row {
    pub(super) fn read(row: &SqlRow<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            due: row.get(1)?,
            redeliveries: row.get(2)?,
            id: row.get(3)?,
            kind: row.get(4)?,
            content: row.get(5)?,
            enqueued_at: row.get(6)?,
            not_before: row.get(7)?,
            attempt: row.get(8)?,
            sequence: row.get(9)?,
            details: row.get(10)?,
            payload: row.get(11)?,
        })
    }

    /// Returns the envelope, and what could not be read of it.
    pub(super) fn decode(self) -> (Envelope, Option<String>) {
        let mut defects = Defects::default();
        let envelope = Envelope {
            id: decode_id(self.id).unwrap_or_else(|text| {
                defects.add(format!("job id {text:?}"));
                JobId::parse("unreadable").expect("the text is a valid id")
            }),
            kind: self.kind.and_then(|text| defects.note(Kind::parse(&text))),
            payload: self.payload,
            content: if self.content == 1 { Content::Text } else { Content::Json },
            enqueued_at: instant(self.enqueued_at),
            not_before: self.not_before.map(instant),
            attempt: self.attempt,
            sequence: self.sequence,
            details: self.details.and_then(|text| defects.note(serde_json::from_str(&text))).unwrap_or_default(),
        };
        (envelope, defects.0)
    }
}

/// The id of a job as it is stored: the bytes of a UUID, any other as text.
pub(super) struct StoredId<'a>(pub(super) &'a JobId);

impl ToSql for StoredId<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0.as_uuid_bytes() {
            Some(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            None => ToSqlOutput::Owned(Value::Text(self.0.to_string())),
        })
    }
}

/// Returns details as they are stored: nothing for the default.
pub(super) fn encode_details(details: &Details) -> Option<String> {
    (*details != Details::default())
        .then(|| serde_json::to_string(details).expect("details are maps with text keys, numbers and text"))
}

/// Returns the number that stands for how a payload is written.
pub(super) fn encode_content(content: Content) -> i64 {
    match content {
        Content::Json => 0,
        Content::Text => 1,
    }
}

/// Returns an instant as it is stored.
pub(super) fn micros(at: Timestamp) -> i64 {
    at.timestamp_micros()
}

/// Returns an instant, rounded up, so that nothing is due too early.
pub(super) fn micros_up(at: Timestamp) -> i64 {
    micros(at) + i64::from(!at.timestamp_subsec_nanos().is_multiple_of(1000))
}

/// Returns the instant of a stored number, and the nearest one where there is none.
pub(super) fn instant(micros: i64) -> Timestamp {
    let nearest = if micros < 0 { Timestamp::MIN_UTC } else { Timestamp::MAX_UTC };
    Timestamp::from_timestamp_micros(micros).unwrap_or(nearest)
}

/// Returns the state of a waiting job that is due at `due`.
pub(super) fn waiting_state(due: i64, now: i64) -> i64 {
    if due > now { DELAYED } else { READY }
}

/// Returns a number of rows as a parameter of a statement.
pub(super) fn limit(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn decode_id(value: Value) -> Result<JobId, String> {
    match value {
        Value::Blob(bytes) => bytes.try_into().map(JobId::from_uuid_bytes).map_err(|bytes| format!("{bytes:02x?}")),
        Value::Text(text) => JobId::parse(&text).map_err(|_| text),
        other => Err(format!("{other:?}")),
    }
}

#[derive(Default)]
struct Defects(Option<String>);

impl Defects {
    fn add(&mut self, defect: String) {
        self.0.get_or_insert(defect);
    }

    fn note<T, E: std::fmt::Display>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(error.to_string())).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn instants_are_cut_to_the_microsecond_and_due_ones_rounded_up() {
        let fine = at("2026-01-01T00:00:00.123456789Z");
        assert_eq!(instant(micros(fine)), at("2026-01-01T00:00:00.123456Z"));
        assert_eq!(instant(micros_up(fine)), at("2026-01-01T00:00:00.123457Z"));
        let whole = at("2026-01-01T00:00:00.123456Z");
        assert_eq!(instant(micros_up(whole)), whole);
        assert_eq!(instant(micros_up(Timestamp::MAX_UTC)).timestamp(), Timestamp::MAX_UTC.timestamp());
    }

    #[test]
    fn what_cannot_be_read_of_a_row_is_said_and_the_rest_kept() {
        let row = Row {
            seq: 1,
            due: 0,
            redeliveries: 0,
            id: Value::Text("order 17".into()),
            kind: Some("send mail".into()),
            content: 1,
            enqueued_at: 0,
            not_before: None,
            attempt: 3,
            sequence: 0,
            details: Some("{".into()),
            payload: b"hello".to_vec(),
        };
        let (envelope, defect) = row.decode();
        assert_eq!((envelope.id.to_string().as_str(), envelope.attempt), ("order 17", 3));
        assert_eq!((envelope.kind, envelope.content, envelope.payload), (None, Content::Text, b"hello".to_vec()));
        assert!(defect.unwrap().contains("send mail"));
    }
}
