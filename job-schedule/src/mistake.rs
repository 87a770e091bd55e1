//! What is wrong with an expression, a zone or an interval, and where.

use std::fmt;

/// A schedule that cannot be: what is wrong, what to write, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    what: String,
    at: Option<usize>,
}

impl Mistake {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), at: None }
    }

    pub(crate) fn at(what: impl Into<String>, byte: usize) -> Self {
        Self { what: what.into(), at: Some(byte) }
    }

    /// Returns the byte of the text at which the mistake begins, where it is in one place.
    pub fn position(&self) -> Option<usize> {
        self.at
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match self.at {
            Some(byte) => write!(f, " (at character {})", byte + 1),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Mistake {}
