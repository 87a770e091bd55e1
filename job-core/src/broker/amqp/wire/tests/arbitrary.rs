//! Properties and headers that any client may have sent.

use lapin::BasicProperties;
use lapin::types::{AMQPValue, DecimalValue, FieldTable, ShortString};

use crate::broker::amqp::wire::header;
use crate::broker::amqp::wire::tests::text;

/// Our own names half of the time, with any value: that is what does harm.
pub(super) fn properties(random: &mut fastrand::Rng) -> BasicProperties {
    const NAMES: [&str; 24] = [
        header::ARMED,
        header::ATTEMPT,
        header::CHAIN,
        header::CRASHES,
        header::CURSOR,
        header::DEATH,
        header::DESTINATION,
        header::ENQUEUED_AT,
        header::EXPIRES,
        header::FAILURES,
        header::MAX_ATTEMPTS,
        header::NOT_BEFORE,
        header::PARKED_SINCE,
        header::SEQUENCE,
        header::SNOOZES,
        header::STALLS,
        header::TRACE_PARENT,
        header::TRACE_STATE,
        header::DELIVERY_COUNT,
        "x-death",
        "x-first-death-queue",
        "CC",
        "tenant",
        "job-of-tomorrow",
    ];
    let mut properties = BasicProperties::default();
    if random.bool() {
        properties = properties.with_message_id(short(random)).with_type(short(random));
    }
    if random.bool() {
        properties = properties.with_timestamp(random.u64(..) >> random.u32(0..64)).with_content_type(short(random));
    }
    if random.u8(..) > 20 {
        let mut headers = FieldTable::default();
        let entries = if random.u8(..) == 0 { 3000 } else { random.usize(0..12) };
        for _ in 0..entries {
            let name = if random.bool() { NAMES[random.usize(..NAMES.len())].into() } else { short(random) };
            headers.insert(name, value(random, 12));
        }
        properties = properties.with_headers(headers);
    }
    properties
}

fn short(random: &mut fastrand::Rng) -> ShortString {
    let length = if random.u8(..) < 8 { 80 } else { random.usize(0..12) };
    let text: String =
        (0..length).map(|_| if random.u8(..) < 8 { random.char(..) } else { random.alphanumeric() }).collect();
    ShortString::try_new(text).unwrap_or_default()
}

fn value(random: &mut fastrand::Rng, depth: u32) -> AMQPValue {
    let bytes = |random: &mut fastrand::Rng| {
        let length = if random.u8(..) < 3 { random.usize(..60_000) } else { random.usize(..40) };
        (0..length).map(|_| random.u8(..)).collect::<Vec<u8>>()
    };
    match random.u8(0..if depth == 0 { 17 } else { 19 }) {
        0 => AMQPValue::Boolean(random.bool()),
        1 => AMQPValue::ShortShortInt(random.i8(..)),
        2 => AMQPValue::ShortShortUInt(random.u8(..)),
        3 => AMQPValue::ShortInt(random.i16(..)),
        4 => AMQPValue::ShortUInt(random.u16(..)),
        5 => AMQPValue::LongInt(random.i32(..)),
        6 => AMQPValue::LongUInt(random.u32(..)),
        7 => AMQPValue::LongLongInt(random.i64(..) >> random.u32(0..63)),
        8 => AMQPValue::Float(f32::from_bits(random.u32(..))),
        9 => AMQPValue::Double(f64::from_bits(random.u64(..))),
        10 => AMQPValue::DecimalValue(DecimalValue { scale: random.u8(..), value: random.u32(..) }),
        11 => AMQPValue::Timestamp(random.u64(..) >> random.u32(0..64)),
        12 => AMQPValue::ByteArray(bytes(random).into()),
        13 => AMQPValue::LongString(bytes(random).into()),
        14 => text(["{}", "[]", "null", "{\"rest\":[]}", "[{\"attempt\":1}]", "1e999"][random.usize(..6)]),
        15 => text(&"\u{1}\"ß".repeat(random.usize(..6000))),
        16 => AMQPValue::Void,
        17 => {
            AMQPValue::FieldArray((0..random.usize(..4)).map(|_| value(random, depth - 1)).collect::<Vec<_>>().into())
        }
        _ => {
            let mut table = FieldTable::default();
            for _ in 0..random.usize(..4) {
                table.insert(short(random), value(random, depth - 1));
            }
            AMQPValue::FieldTable(table)
        }
    }
}
