//! W3C trace context in its text form, carried from the enqueuing code to each run.
//!
//! Parses and continues what a caller hands in; makes no spans and exports nothing.

use std::fmt;

use crate::error::{Error, Result};

/// The `traceparent` of the W3C Trace Context recommendation, version 00.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    trace_id: u128,
    parent_id: u64,
    flags: u8,
}

impl TraceParent {
    /// Parses `00-<32 hex>-<16 hex>-<2 hex>`.
    ///
    /// # Errors
    /// When the form is another, or one of the ids is zero.
    pub fn parse(text: &str) -> Result<Self> {
        Self::parse_parts(text).ok_or_else(|| {
            Error::invalid(format!(
                "traceparent {text:?} is not of the form 00-<32 hex>-<16 hex>-<2 hex> (W3C Trace Context)"
            ))
        })
    }

    /// Returns the context of a new child: the same trace, a new parent id.
    #[must_use]
    pub fn child(self) -> Self {
        Self { parent_id: fastrand::u64(1..), ..self }
    }

    /// Returns the id of the whole trace.
    pub fn trace_id(self) -> u128 {
        self.trace_id
    }

    fn parse_parts(text: &str) -> Option<Self> {
        let is_lower_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let mut parts = text.split('-');
        let mut part = |length: usize| parts.next().filter(|p| p.len() == length && is_lower_hex(p));
        let version = part(2)?;
        let trace_id = u128::from_str_radix(part(32)?, 16).ok()?;
        let parent_id = u64::from_str_radix(part(16)?, 16).ok()?;
        let flags = u8::from_str_radix(part(2)?, 16).ok()?;
        let is_valid = version == "00" && trace_id != 0 && parent_id != 0 && parts.next().is_none();
        is_valid.then_some(Self { trace_id, parent_id, flags })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.parent_id, self.flags)
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_example_of_the_recommendation_round_trips() {
        assert_eq!(TraceParent::parse(EXAMPLE).unwrap().to_string(), EXAMPLE);
    }

    #[test]
    fn a_child_stays_in_the_trace() {
        let parent = TraceParent::parse(EXAMPLE).unwrap();
        assert_eq!(parent.child().trace_id(), parent.trace_id());
        assert_ne!(parent.child(), parent);
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        ] {
            assert!(TraceParent::parse(text).is_err(), "{text}");
        }
    }
}
