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
    id: RowId,
    kind: Option<RowKind>,
    content: i64,
    enqueued_at: i64,
    not_before: Option<i64>,
    attempt: u32,
    sequence: u32,
    details: Option<String>,
    payload: Vec<u8>,
}

/// An id as it is stored. Nearly all are UUIDs, which need no memory of their own.
#[derive(Debug)]
enum RowId {
    Uuid([u8; 16]),
    Other(Value),
}

/// A kind as it is stored, checked.
#[derive(Debug)]
enum RowKind {
    Valid(Kind),
    Invalid(String),
}

impl Row {
    pub(super) fn read(row: &SqlRow<'_>) -> rusqlite::Result<Self> {
        Self::read_after(None, row)
    }

    /// Reads a row that probably has the kind of the one before, and shares it then.
    pub(super) fn read_after(before: Option<&Self>, row: &SqlRow<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: row.get(0)?,
            due: row.get(1)?,
            redeliveries: row.get(2)?,
            id: RowId::read(row.get_ref(3)?)?,
            kind: RowKind::read(row.get_ref(4)?, before.and_then(|row| row.kind.as_ref()))?,
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
            id: self.id.decode().unwrap_or_else(|text| {
                defects.add(format!("job id {text:?}"));
                JobId::parse("unreadable").expect("the text is a valid id")
            }),
            kind: self.kind.and_then(|kind| match kind {
                RowKind::Valid(kind) => Some(kind),
                RowKind::Invalid(text) => defects.note(Kind::parse(&text)),
            }),
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
    (!details.is_default())
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

impl RowId {
    fn read(value: ValueRef<'_>) -> rusqlite::Result<Self> {
        Ok(match value {
            ValueRef::Blob(bytes) if bytes.len() == 16 => Self::Uuid(bytes.try_into().expect("there are sixteen")),
            other => Self::Other(Value::try_from(other)?),
        })
    }

    fn decode(self) -> Result<JobId, String> {
        match self {
            Self::Uuid(bytes) => Ok(JobId::from_uuid_bytes(bytes)),
            Self::Other(Value::Text(text)) => JobId::parse(&text).map_err(|_| text),
            Self::Other(Value::Blob(bytes)) => Err(format!("{bytes:02x?}")),
            Self::Other(other) => Err(format!("{other:?}")),
        }
    }
}

impl RowKind {
    fn read(value: ValueRef<'_>, before: Option<&Self>) -> rusqlite::Result<Option<Self>> {
        let Some(text) = value.as_str_or_null()? else { return Ok(None) };
        if let Some(Self::Valid(kind)) = before.filter(|before| before.is(text)) {
            return Ok(Some(Self::Valid(kind.clone())));
        }
        Ok(Some(Kind::parse(text).map_or_else(|_| Self::Invalid(text.to_owned()), Self::Valid)))
    }

    fn is(&self, text: &str) -> bool {
        matches!(self, Self::Valid(kind) if kind.as_str() == text)
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
            id: RowId::Other(Value::Text("order 17".into())),
            kind: Some(RowKind::Invalid("send mail".into())),
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
