//! What goes over the wire comes back, and nothing that others send does harm.

use std::time::Duration;

use chrono::SubsecRound;
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable};
use serde_json::json;

use crate::broker::amqp::wire::{Received, carried, header, limit, properties, received};
use crate::clock::Timestamp;
use crate::envelope::{Chained, Content, Death, DeathReason, Details, Envelope, Failure, HEADERS_MAX, Step};
use crate::name::{JobId, Kind, QueueName};
use crate::trace::TraceParent;

mod arbitrary;

/// RabbitMQ's default, and with it lapin's.
const FRAME_BYTES_MAX: usize = 131_072;

fn now() -> Timestamp {
    "2026-01-01T12:00:00.250Z".parse().unwrap()
}

fn read(properties: &BasicProperties) -> Received {
    received(properties, b"{}".to_vec(), false, None, now())
}

fn table(entries: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in entries {
        table.insert((*name).into(), value.clone());
    }
    table
}

fn read_headers(entries: &[(&str, AMQPValue)]) -> Received {
    read(&BasicProperties::default().with_headers(table(entries)))
}

fn text(text: &str) -> AMQPValue {
    AMQPValue::LongString(text.into())
}

fn full() -> Envelope {
    let step = Step {
        kind: Kind::parse("ship").unwrap(),
        queue: QueueName::parse("default").unwrap(),
        payload: "{\"to\": \"größer\"} \n".into(),
        expires: Some(Duration::from_millis(1500)),
        max_attempts: Some(3),
    };
    let micros = now() + Duration::from_micros(7);
    let details = Details {
        max_attempts: Some(9),
        expires: Some(now()),
        crashes: 2,
        is_armed: true,
        cursor: Some(json!({"page": 3, "none": null, "seen": [1, -2.5]})),
        stalls: 4,
        snoozes: 5,
        parked_since: Some(now()),
        failures: vec![Failure { attempt: 1, at: micros, error: "line 1\nline 2: \"ü\"".into() }],
        death: Some(Death { reason: DeathReason::TooDeep, error: "too deep".into(), at: micros }),
        chain: Some(Chained { first: Some(JobId::parse("order 17").unwrap()), place: 1, rest: vec![step] }),
        trace: Some(TraceParent::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap()),
        trace_state: Some("vendor=1,other=2".into()),
        headers: [("tenant", "größer"), ("empty", ""), ("x-b3-traceid", "1")].map(|(k, v)| (k.into(), v.into())).into(),
    };
    Envelope {
        id: JobId::new(now()),
        kind: Some(Kind::parse("mail").unwrap()),
        payload: vec![0, 255, b'{'],
        content: Content::Text,
        enqueued_at: now(),
        not_before: Some(now()),
        attempt: 7,
        sequence: 3,
        details,
    }
}

#[test]
fn every_field_comes_back() {
    let full = full();
    let mut odd = Envelope { id: JobId::parse("order 17, „größer“").unwrap(), kind: None, ..full.clone() };
    odd.details = Details::default();
    odd.enqueued_at = "1969-12-31T23:59:59.999Z".parse().unwrap();
    odd.not_before = Some(Timestamp::MAX_UTC);
    for sent in [full, odd] {
        let back = received(&properties(&sent, None).unwrap(), sent.payload.clone(), false, None, now());
        assert_eq!(back, Received { envelope: sent, defect: None, redeliveries: 0, destination: None });
    }
}

#[test]
fn a_slot_knows_the_queue_behind_it() {
    let queue = QueueName::parse("mail").unwrap();
    let back = read(&properties(&full(), Some(&queue)).unwrap());
    assert_eq!(back.destination.as_deref(), Some("mail"));
    assert!(!back.envelope.details.headers.contains_key("job-destination"));
}

#[test]
fn a_message_of_two_fields_is_a_job() {
    let back = read(&BasicProperties::default().with_type("mail".into()));
    let expected = Envelope::new(back.envelope.id.clone(), Kind::parse("mail").unwrap(), b"{}".to_vec(), now());
    assert_eq!(back, Received { envelope: expected, defect: None, redeliveries: 0, destination: None });
}

#[test]
fn a_kind_that_is_named_wins_over_the_queues_own() {
    let own = Kind::parse("own").unwrap();
    let kind = |properties: BasicProperties| {
        let back = received(&properties, Vec::new(), false, Some(&own), now());
        (back.envelope.kind.unwrap().as_str().to_owned(), back.defect.is_some())
    };
    let bare = BasicProperties::default;
    assert_eq!(kind(bare()), ("own".into(), false));
    assert_eq!(kind(bare().with_type("".into())), ("own".into(), false));
    assert_eq!(kind(bare().with_type("other".into())), ("other".into(), false));
    assert_eq!(kind(bare().with_type("no kind".into())), ("own".into(), true));
}

#[test]
fn plain_text_is_text_and_all_else_is_json() {
    for (content_type, expected) in [
        ("text/plain", Content::Text),
        ("Text/Plain; charset=utf-8", Content::Text),
        ("application/json", Content::Json),
        ("application/vnd.shop+json", Content::Json),
        ("", Content::Json),
    ] {
        let back = read(&BasicProperties::default().with_content_type(content_type.into()));
        assert_eq!((back.envelope.content, back.defect), (expected, None), "{content_type}");
    }
    let back = read(&BasicProperties::default().with_content_encoding("gzip".into()));
    assert_eq!(back.defect.unwrap(), "property \"content_encoding\" is \"gzip\"; send plain UTF-8");
    assert_eq!(read(&BasicProperties::default().with_content_encoding("UTF-8".into())).defect, None);
}

#[test]
fn a_delivery_counts_what_its_queue_counted() {
    for (value, is_redelivered, expected) in [
        (None, false, 0),
        (None, true, 1),
        (Some(AMQPValue::LongLongInt(0)), false, 0),
        (Some(AMQPValue::LongLongInt(3)), true, 3),
        (Some(AMQPValue::LongUInt(4)), true, 4),
        (Some(AMQPValue::LongLongInt(-1)), true, 0),
        (Some(AMQPValue::LongLongInt(i64::MAX)), true, u32::MAX),
        (Some(text("3")), true, 1),
    ] {
        let mut headers = FieldTable::default();
        if let Some(value) = value.clone() {
            headers.insert("x-delivery-count".into(), value);
        }
        let properties = BasicProperties::default().with_headers(headers);
        let back = received(&properties, Vec::new(), is_redelivered, None, now());
        assert_eq!((back.redeliveries, back.defect), (expected, None), "{value:?} {is_redelivered}");
    }
}

#[test]
fn a_header_of_ours_in_a_wrong_type_is_named_and_the_rest_kept() {
    let integer = "an integer from";
    for (name, value, expected) in [
        ("job-attempt", text("7"), "is text, \"7\"; expected an integer from 1 to 4294967295"),
        ("job-attempt", AMQPValue::LongInt(0), "is an integer, \"0\"; expected an integer from 1"),
        ("job-sequence", AMQPValue::LongInt(-1), "is an integer, \"-1\"; expected an integer from 0"),
        ("job-max-attempts", AMQPValue::Double(1.5), "is a floating-point number, \"1.5\"; expected an integer"),
        ("job-crashes", AMQPValue::Void, "is nothing, \"\"; expected"),
        ("job-stalls", AMQPValue::Boolean(true), integer),
        ("job-snoozes", AMQPValue::LongLongInt(i64::MAX), integer),
        ("job-expires", text("soon"), "is text, \"soon\"; expected an integer of milliseconds since 1970"),
        ("job-not-before", AMQPValue::FieldTable(FieldTable::default()), "is a table, \"{}\"; expected"),
        ("job-enqueued-at", AMQPValue::ByteArray(vec![255].into()), "is bytes, \"ff\"; expected"),
        ("job-parked-since", AMQPValue::FieldArray(Vec::new().into()), "is an array, \"[]\"; expected"),
        ("job-armed", AMQPValue::LongInt(1), "is an integer, \"1\"; expected a boolean"),
        ("job-cursor", AMQPValue::LongInt(1), "is an integer, \"1\"; expected text"),
        ("job-cursor", text("{"), "cannot be read: EOF"),
        ("job-failures", text("{}"), "cannot be read: "),
        ("job-death", text("[]"), "cannot be read: "),
        ("job-death", AMQPValue::LongString(vec![255].into()), "is bytes, \"ff\"; expected text"),
        ("job-chain", text("{\"rest\": 1}"), "cannot be read: "),
        ("job-destination", AMQPValue::LongInt(1), "is an integer, \"1\"; expected text"),
        ("job-version", AMQPValue::LongInt(2), "is 2, and this version of the framework reads 1 only; update it"),
    ] {
        let back = read_headers(&[(name, value), ("tenant", text("t"))]);
        let defect = back.defect.expect(name);
        assert!(defect.starts_with(&format!("header \"{name}\" ")) && defect.contains(expected), "{defect}");
        assert_eq!(back.envelope.details.headers.len(), 1, "{name}");
        assert_eq!((back.envelope.attempt, back.envelope.payload.as_slice()), (1, b"{}".as_slice()), "{name}");
    }
}

#[test]
fn integers_and_instants_may_have_any_type() {
    for value in [
        AMQPValue::ShortShortInt(7),
        AMQPValue::ShortShortUInt(7),
        AMQPValue::ShortInt(7),
        AMQPValue::ShortUInt(7),
        AMQPValue::LongInt(7),
        AMQPValue::LongUInt(7),
        AMQPValue::LongLongInt(7),
    ] {
        let back = read_headers(&[("job-attempt", value)]);
        assert_eq!((back.envelope.attempt, back.defect), (7, None));
    }
    let noon = AMQPValue::Timestamp(1_767_268_800);
    let back = read_headers(&[("job-not-before", noon)]);
    assert_eq!((back.envelope.not_before, back.defect), (Some("2026-01-01T12:00:00Z".parse().unwrap()), None));
    let never = read_headers(&[("job-expires", AMQPValue::LongLongInt(i64::MIN))]);
    assert_eq!((never.envelope.details.expires, never.defect), (Some(Timestamp::MIN_UTC), None));
}

#[test]
fn a_message_id_that_is_no_id_has_the_same_one_each_time() {
    let properties = BasicProperties::default().with_message_id("a\nb".into());
    let (one, two) = (read(&properties), read(&properties));
    assert_eq!(one.envelope.id, two.envelope.id);
    assert!(one.defect.unwrap().starts_with("property \"message_id\": job id \"a\\nb\" has control characters"));
    assert_ne!(read(&BasicProperties::default()).envelope.id, read(&BasicProperties::default()).envelope.id);
}

#[test]
fn a_trace_context_that_is_none_is_ignored() {
    for value in [text("garbage"), AMQPValue::LongInt(1)] {
        let back = read_headers(&[("traceparent", value.clone()), ("tracestate", value)]);
        assert_eq!((back.envelope.details.trace, back.defect), (None, None));
    }
}

#[test]
fn what_brokers_add_and_unknown_headers_of_ours_are_left_behind() {
    let names = ["x-death", "x-first-death-reason", "x-last-death-queue", "x-delivery-count", "x-acquired-count", "CC"];
    let mut entries: Vec<(&str, AMQPValue)> = names.map(|name| (name, text("old"))).into();
    entries.extend([("job-of-tomorrow", text("new")), ("tenant", AMQPValue::LongInt(7))]);
    let back = read_headers(&entries);
    let headers: Vec<_> = back.envelope.details.headers.into_iter().collect();
    assert_eq!((headers, back.defect), (vec![("tenant".into(), "7".into())], None));
}

#[test]
fn a_message_that_is_carried_on_keeps_all_but_what_the_broker_added() {
    let nested = AMQPValue::FieldTable(table(&[("a", AMQPValue::LongInt(1))]));
    let kept = [("job-attempt", AMQPValue::LongLongInt(3)), ("tenant", nested)];
    let sent = BasicProperties::default()
        .with_delivery_mode(1)
        .with_type("mail".into())
        .with_message_id("a".into())
        .with_correlation_id("c".into())
        .with_reply_to("r".into())
        .with_priority(3)
        .with_app_id("app".into())
        .with_content_type("text/plain".into())
        .with_timestamp(7);
    let added =
        [("x-death", AMQPValue::FieldArray(Vec::new().into())), ("x-delivery-count", AMQPValue::LongLongInt(9))];
    let arrived = sent.clone().with_user_id("other".into()).with_headers(table(&[kept.clone(), added].concat()));
    assert_eq!(carried(&arrived, |_| true), sent.clone().with_delivery_mode(2).with_headers(table(&kept)));
    assert_eq!(carried(&sent, |_| true), sent.with_delivery_mode(2));
}

#[test]
fn too_many_headers_are_a_defect_and_kept_within_bounds() {
    let many = |count: usize, length: usize| {
        let entries: Vec<_> = (0..count).map(|n| (format!("h{n:05}"), text(&"v".repeat(length)))).collect();
        read_headers(&entries.iter().map(|(name, value)| (name.as_str(), value.clone())).collect::<Vec<_>>())
    };
    let kept = |received: Received| (received.envelope.details.headers.len(), received.defect.is_some());
    assert_eq!(kept(many(HEADERS_MAX, 100)), (HEADERS_MAX, false));
    assert_eq!(kept(many(HEADERS_MAX + 1, 0)), (HEADERS_MAX + 1, true));
    assert_eq!(kept(many(1, 9000)), (1, true));
    assert_eq!(kept(many(5000, 0)), (limit::HEADERS_KEPT_MAX, true));
    assert_eq!(kept(many(3, 10_000)), (2, true));
}

#[test]
fn json_that_grows_by_being_read_is_not_kept_beyond_its_limit() {
    let cursor = |count: usize| format!("[1{}]", ",1e15".repeat(count));
    for (count, is_kept) in [(1000, true), (6000, false), (7000, false)] {
        let back = read_headers(&[("job-cursor", text(&cursor(count)))]);
        assert_eq!((back.envelope.details.cursor.is_some(), back.defect.is_none()), (is_kept, is_kept), "{count}");
        assert!(properties(&back.envelope, None).is_ok(), "{count}");
    }
}

#[test]
fn whatever_arrives_can_be_read_kept_and_sent_on() {
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    let mut defects = 0;
    for round in 0..3000 {
        let properties = arbitrary::properties(&mut random);
        let first = received(&properties, vec![1, 2], random.bool(), None, now());
        defects += usize::from(first.defect.is_some());
        let again = super::properties(&first.envelope, None)
            .unwrap_or_else(|error| panic!("seed {seed}, round {round}: what was read cannot be sent on: {error}"));
        let sent = again.headers().clone().unwrap_or_default();
        let bytes = size(&sent);
        assert!(bytes + 2048 < FRAME_BYTES_MAX, "seed {seed}, round {round}: {bytes} bytes do not fit into a frame");
        let is_left = sent.into_iter().any(|(name, _)| header::is_of_broker(name.as_str()));
        assert!(!is_left, "seed {seed}, round {round}: a header of the broker's is carried on");
        let second = received(&again, vec![1, 2], false, None, now());
        let (expected, envelope) = (in_millis(first.envelope), in_millis(second.envelope));
        assert_eq!(envelope, expected, "seed {seed}, round {round}: it differs once it was sent on");
        assert_eq!(second.redeliveries, 0, "seed {seed}, round {round}");
    }
    assert!((300..2990).contains(&defects), "seed {seed}: {defects} defects show that it tries too little");
}

/// The end of the calendar, to which later instants are cut, is no whole millisecond.
fn in_millis(mut envelope: Envelope) -> Envelope {
    let Details { expires, parked_since, .. } = &mut envelope.details;
    for at in [expires, parked_since].into_iter().flatten().chain([&mut envelope.enqueued_at]) {
        *at = at.trunc_subsecs(3);
    }
    envelope
}

/// The bytes that our headers take on the wire.
fn size(table: &FieldTable) -> usize {
    let of = |value: &AMQPValue| match value {
        AMQPValue::Boolean(_) => 2,
        AMQPValue::LongLongInt(_) => 9,
        AMQPValue::LongString(text) => 5 + text.len(),
        other => panic!("{other:?} is of a type that we do not write"),
    };
    4 + table.into_iter().map(|(name, value)| 1 + name.as_str().len() + of(value)).sum::<usize>()
}

#[test]
fn the_largest_metadata_fits_into_a_frame() {
    let mut largest = full();
    let details = &mut largest.details;
    details.cursor = Some("c".repeat(limit::CURSOR_BYTES_MAX - 2).into());
    details.headers = [("h".into(), "v".repeat(limit::HEADERS_KEPT_BYTES_MAX - 7))].into();
    details.trace_state = Some("s".repeat(limit::TRACE_STATE_BYTES_MAX));
    let step = details.chain.as_mut().unwrap().rest.first_mut().unwrap();
    step.payload = "1".repeat(16_000);
    largest.id = JobId::parse(&"i".repeat(255)).unwrap();
    for attempt in 1..=10 {
        largest.attempt = attempt;
        largest.push_failure(now(), &"\u{1}".repeat(300));
    }
    largest.declare_dead(now(), DeathReason::Attempts, &"\u{1}".repeat(1024));
    let written = properties(&largest, Some(&QueueName::parse(&"q".repeat(128)).unwrap())).unwrap();
    let bytes = size(written.headers().as_ref().unwrap());
    assert!((90 * 1024..FRAME_BYTES_MAX - 2048).contains(&bytes), "{bytes}");
}
