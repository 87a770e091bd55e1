//! Shows header values of any AMQP type as text, however deep or odd they are.

use std::fmt::Write as _;

use lapin::types::{AMQPValue, FieldTable};
use serde_json::Value;

use crate::clock::Timestamp;

/// Deepest nesting that is shown; what lies deeper is "…".
const DEPTH_MAX: usize = 8;

/// Returns the text of a value: a text itself, a number in decimals, a table as JSON.
pub(super) fn render(value: &AMQPValue) -> String {
    match value {
        AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) => json(value, DEPTH_MAX).to_string(),
        AMQPValue::Void => String::new(),
        value => match json(value, DEPTH_MAX) {
            Value::String(text) => text,
            other => other.to_string(),
        },
    }
}

/// Returns the integer of a value of any integer type.
pub(super) fn integer(value: &AMQPValue) -> Option<i64> {
    match value {
        AMQPValue::ShortShortInt(n) => Some((*n).into()),
        AMQPValue::ShortShortUInt(n) => Some((*n).into()),
        AMQPValue::ShortInt(n) => Some((*n).into()),
        AMQPValue::ShortUInt(n) => Some((*n).into()),
        AMQPValue::LongInt(n) => Some((*n).into()),
        AMQPValue::LongUInt(n) => Some((*n).into()),
        AMQPValue::LongLongInt(n) => Some(*n),
        _ => None,
    }
}

/// Returns the text of a value that is one.
pub(super) fn text(value: &AMQPValue) -> Option<&str> {
    match value {
        AMQPValue::ShortString(text) => Some(text.as_str()),
        AMQPValue::LongString(text) => std::str::from_utf8(text.as_bytes()).ok(),
        AMQPValue::ByteArray(bytes) => std::str::from_utf8(bytes.as_slice()).ok(),
        _ => None,
    }
}

/// Returns what people call the type of a value.
pub(super) fn type_name(value: &AMQPValue) -> &'static str {
    match value {
        AMQPValue::Boolean(_) => "a boolean",
        AMQPValue::Float(_) | AMQPValue::Double(_) => "a floating-point number",
        AMQPValue::DecimalValue(_) => "a decimal number",
        AMQPValue::ShortString(_) => "text",
        AMQPValue::LongString(_) if text(value).is_some() => "text",
        AMQPValue::ByteArray(_) | AMQPValue::LongString(_) => "bytes",
        AMQPValue::FieldArray(_) => "an array",
        AMQPValue::FieldTable(_) => "a table",
        AMQPValue::Timestamp(_) => "a timestamp",
        AMQPValue::Void => "nothing",
        _ => "an integer",
    }
}

fn json(value: &AMQPValue, depth: usize) -> Value {
    match value {
        AMQPValue::Boolean(is_so) => Value::Bool(*is_so),
        AMQPValue::Float(number) => float((*number).into()),
        AMQPValue::Double(number) => float(*number),
        AMQPValue::DecimalValue(decimal) => Value::String(decimals(decimal.value, decimal.scale)),
        AMQPValue::Timestamp(seconds) => instant(*seconds),
        AMQPValue::ShortString(text) => Value::String(text.as_str().into()),
        AMQPValue::LongString(text) => bytes(text.as_bytes()),
        AMQPValue::ByteArray(array) => bytes(array.as_slice()),
        AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) if depth == 0 => Value::String("…".into()),
        AMQPValue::FieldArray(array) => array.as_slice().iter().map(|value| json(value, depth - 1)).collect(),
        AMQPValue::FieldTable(table) => object(table, depth - 1),
        AMQPValue::Void => Value::Null,
        other => integer(other).map_or(Value::Null, Value::from),
    }
}

fn object(table: &FieldTable, depth: usize) -> Value {
    table.into_iter().map(|(name, value)| (name.to_string(), json(value, depth))).collect()
}

/// JSON has no infinity.
fn float(number: f64) -> Value {
    serde_json::Number::from_f64(number).map_or_else(|| Value::String(number.to_string()), Value::Number)
}

fn instant(seconds: u64) -> Value {
    let at = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_timestamp(seconds, 0));
    at.map_or_else(|| seconds.into(), |at| Value::String(at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)))
}

/// What is no text is shown byte by byte: replacing some of it would make different values look the same.
fn bytes(bytes: &[u8]) -> Value {
    let hex = || {
        bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            write!(text, "{byte:02x}").expect("text takes everything");
            text
        })
    };
    Value::String(std::str::from_utf8(bytes).map_or_else(|_| hex(), str::to_owned))
}

fn decimals(value: u32, scale: u8) -> String {
    let digits = format!("{value:0>width$}", width = usize::from(scale) + 1);
    match digits.split_at(digits.len() - usize::from(scale)) {
        (whole, "") => whole.into(),
        (whole, rest) => format!("{whole}.{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::{DecimalValue, FieldArray};

    use super::*;

    fn table(entries: &[(&str, AMQPValue)]) -> AMQPValue {
        let mut table = FieldTable::default();
        for (name, value) in entries {
            table.insert((*name).into(), value.clone());
        }
        AMQPValue::FieldTable(table)
    }

    #[test]
    fn every_type_has_a_text() {
        let decimal = |value, scale| AMQPValue::DecimalValue(DecimalValue { scale, value });
        let array = AMQPValue::FieldArray(vec![AMQPValue::LongInt(1), AMQPValue::Void].into());
        for (value, expected) in [
            (AMQPValue::Boolean(true), "true"),
            (AMQPValue::ShortShortInt(-1), "-1"),
            (AMQPValue::ShortShortUInt(255), "255"),
            (AMQPValue::ShortInt(-300), "-300"),
            (AMQPValue::ShortUInt(300), "300"),
            (AMQPValue::LongInt(-70_000), "-70000"),
            (AMQPValue::LongUInt(u32::MAX), "4294967295"),
            (AMQPValue::LongLongInt(i64::MIN), "-9223372036854775808"),
            (AMQPValue::Float(0.5), "0.5"),
            (AMQPValue::Double(f64::INFINITY), "inf"),
            (AMQPValue::Double(f64::NAN), "NaN"),
            (decimal(1234, 2), "12.34"),
            (decimal(5, 3), "0.005"),
            (decimal(5, 0), "5"),
            (AMQPValue::Timestamp(1_767_225_600), "2026-01-01T00:00:00Z"),
            (AMQPValue::Timestamp(u64::MAX), "18446744073709551615"),
            (AMQPValue::LongString("größer".into()), "größer"),
            (AMQPValue::LongString(vec![0xff, 0].into()), "ff00"),
            (AMQPValue::ByteArray(vec![0xfe].into()), "fe"),
            (AMQPValue::ByteArray(b"text".to_vec().into()), "text"),
            (AMQPValue::Void, ""),
            (array.clone(), "[1,null]"),
            (table(&[("b", array), ("a", AMQPValue::LongString("x".into()))]), r#"{"a":"x","b":[1,null]}"#),
        ] {
            assert_eq!(render(&value), expected, "{value:?}");
        }
        assert_eq!(render(&decimal(7, 255)).len(), 257);
    }

    #[test]
    fn what_is_nested_too_deep_is_left_out() {
        let nested = |depth| {
            let wrap = |value, _| AMQPValue::FieldArray(FieldArray::from(vec![value]));
            (0..depth).fold(AMQPValue::LongInt(1), wrap)
        };
        assert_eq!(render(&nested(8)), "[[[[[[[[1]]]]]]]]");
        assert_eq!(render(&nested(1000)), "[[[[[[[[\"…\"]]]]]]]]");
    }
}
