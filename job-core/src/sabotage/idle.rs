//! No fault at all: what every build has that is not made to test the tests.

use std::borrow::Cow;

use crate::sabotage::Mutant;

/// Says that no mutant is on.
#[inline(always)]
pub const fn is_on(_mutant: Mutant) -> bool {
    false
}

/// Does nothing.
#[inline(always)]
pub const fn fail_point(_name: &str) {}

/// Does nothing.
#[inline(always)]
pub const fn begun() {}

/// Does nothing.
#[inline(always)]
pub const fn written(_step: &str) {}

/// Does nothing.
#[inline(always)]
pub const fn committed() {}

/// Returns the statement as it is.
#[inline(always)]
pub const fn fence(sql: &str) -> Cow<'_, str> {
    Cow::Borrowed(sql)
}
