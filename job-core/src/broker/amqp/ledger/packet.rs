//! What the messages of the stream say. Plain JSON, so that other programs can read and write settings, too.

use lapin::BasicProperties;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::broker::Entry;
use crate::broker::amqp::ledger::book;

/// Entries of one message of a snapshot, in bytes; one more entry may exceed it.
const PACKET_BYTES: u64 = 128 * 1024;

const ENTRIES: &str = "entries";
const MARK: &str = "mark";
const SNAPSHOT_END: &str = "snapshot_end";

/// One message of the stream. Types that are not known, as of later versions, are passed over.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Packet {
    /// Settings, new or written again.
    Entries(Vec<Entry>),
    /// Nothing but a place in the stream.
    Mark,
    /// Everything that counts was written again just now.
    SnapshotEnd,
}

#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    version: u64,
    #[serde(default)]
    value: Value,
}

impl Packet {
    /// Returns the messages that write entries again.
    pub(super) fn snapshot(entries: Vec<Entry>) -> Vec<Self> {
        let mut packets = Vec::new();
        let (mut packet, mut bytes) = (Vec::new(), 0);
        for entry in entries {
            bytes += book::bytes(&entry);
            packet.push(entry);
            if bytes >= PACKET_BYTES {
                packets.push(Self::Entries(std::mem::take(&mut packet)));
                bytes = 0;
            }
        }
        if !packet.is_empty() {
            packets.push(Self::Entries(packet));
        }
        packets.push(Self::SnapshotEnd);
        packets
    }

    /// Returns the type and the body of the message.
    pub(super) fn encode(&self) -> (&'static str, Vec<u8>) {
        let body = |lines: Vec<Line>| serde_json::to_vec(&lines).expect("lines are text, numbers and JSON");
        match self {
            Self::Entries(entries) => {
                let line = |Entry { key, version, value }| Line { key, version, value };
                (ENTRIES, body(entries.iter().cloned().map(line).collect()))
            }
            Self::Mark => (MARK, Vec::new()),
            Self::SnapshotEnd => (SNAPSHOT_END, Vec::new()),
        }
    }

    /// Reads a message; `None` when it is none of these.
    pub(super) fn decode(properties: &BasicProperties, body: &[u8]) -> Option<Self> {
        match properties.kind().as_ref()?.as_str() {
            ENTRIES => {
                let lines: Vec<Line> = serde_json::from_slice(body).ok()?;
                let entry = |Line { key, version, value }| Entry { key, version, value };
                Some(Self::Entries(lines.into_iter().map(entry).collect()))
            }
            MARK => Some(Self::Mark),
            SNAPSHOT_END => Some(Self::SnapshotEnd),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn decode(kind: &str, body: &[u8]) -> Option<Packet> {
        Packet::decode(&BasicProperties::default().with_type(kind.into()), body)
    }

    fn entry(key: &str, value: Value) -> Entry {
        Entry { key: key.into(), version: u64::MAX, value }
    }

    #[test]
    fn a_packet_comes_back_as_it_was_sent() {
        let entries = vec![entry("a", json!({"ä": [1.5, null]})), entry("b", Value::Null)];
        for packet in [Packet::Entries(entries), Packet::Mark, Packet::SnapshotEnd] {
            let (kind, body) = packet.encode();
            assert_eq!(decode(kind, &body), Some(packet));
        }
    }

    #[test]
    fn what_is_none_of_ours_is_passed_over() {
        assert_eq!(Packet::decode(&BasicProperties::default(), b"[]"), None);
        assert_eq!(decode("of_tomorrow", b"[]"), None);
        assert_eq!(decode("entries", b"{"), None);
        assert_eq!(decode("entries", b"[{\"key\": 1}]"), None);
        let removed = Packet::Entries(vec![Entry { key: "a".into(), version: 1, value: Value::Null }]);
        assert_eq!(decode("entries", br#"[{"key": "a", "version": 1}]"#), Some(removed));
    }

    #[test]
    fn a_snapshot_is_cut_into_messages_and_ends() {
        let entries: Vec<Entry> = (0..10).map(|n| entry(&n.to_string(), json!("v".repeat(50_000)))).collect();
        let mut packets = Packet::snapshot(entries.clone());
        assert_eq!(packets.pop(), Some(Packet::SnapshotEnd));
        let parts: Vec<Vec<Entry>> = packets
            .into_iter()
            .map(|packet| if let Packet::Entries(entries) = packet { entries } else { panic!("{packet:?}") })
            .collect();
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3, 1]);
        assert_eq!(parts.concat(), entries);
        assert_eq!(Packet::snapshot(Vec::new()), [Packet::SnapshotEnd]);
    }
}
