//! The one error of this crate: what went wrong, and what a caller may conclude from it.

use std::error::Error as StdError;
use std::fmt;

/// What `Result` means in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, boxed, as handlers and middleware return them.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// An error of this crate. It is opaque; callers branch on its predicates.
///
/// `Display` prints this layer only; the cause is in [`source`](StdError::source).
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<BoxError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorKind {
    Invalid,
    Rejected,
    Unconfirmed,
    Lost,
    Unsupported,
    Unavailable,
    Corrupt,
    Denied,
    Unheard,
}

impl Error {
    /// Says that input or configuration is wrong: nothing was tried.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Says that a message was certainly not stored and will not run.
    pub fn rejected(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Rejected, message)
    }

    /// Says that nobody knows whether a message was stored.
    pub fn unconfirmed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unconfirmed, message)
    }

    /// Says that a delivery belongs to somebody else by now.
    pub fn lost(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Lost, message)
    }

    /// Says that this broker cannot do that; see [`Capabilities`](crate::broker::Capabilities).
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// Says that the broker cannot be reached or used at the moment.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// Says that stored data cannot be read: damaged, foreign, or of a newer version.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// Says that the process may not do that: permissions, a read-only file.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, message)
    }

    /// Says that no queue took an event that somebody had to hear.
    pub fn unheard(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unheard, message)
    }

    /// Adds the cause, which [`source`](StdError::source) then returns.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// True when input or configuration was wrong.
    pub fn is_invalid(&self) -> bool {
        self.kind == ErrorKind::Invalid
    }

    /// True when the message was certainly not stored and will not run. Wrong input counts too.
    pub fn is_rejected(&self) -> bool {
        self.kind != ErrorKind::Unconfirmed && self.kind != ErrorKind::Lost
    }

    /// True when nobody knows whether the message was stored.
    pub fn is_unconfirmed(&self) -> bool {
        self.kind == ErrorKind::Unconfirmed
    }

    /// True when a delivery was settled that was no longer ours.
    pub fn is_lost(&self) -> bool {
        self.kind == ErrorKind::Lost
    }

    /// True when the broker has no such capability.
    pub fn is_unsupported(&self) -> bool {
        self.kind == ErrorKind::Unsupported
    }

    /// True when the broker could not be reached or used; trying again later may help.
    pub fn is_unavailable(&self) -> bool {
        self.kind == ErrorKind::Unavailable
    }

    /// True when stored data could not be read.
    pub fn is_corrupt(&self) -> bool {
        self.kind == ErrorKind::Corrupt
    }

    /// True when a permission was missing.
    pub fn is_denied(&self) -> bool {
        self.kind == ErrorKind::Denied
    }

    /// True when no queue took an event that somebody had to hear: nothing was stored.
    pub fn is_unheard(&self) -> bool {
        self.kind == ErrorKind::Unheard
    }

    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `main() -> Result<(), Error>` prints Debug: keep it readable.
        write!(f, "{}", self.message)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|s| s as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejected_and_unconfirmed_never_overlap() {
        for error in [
            Error::invalid("x"),
            Error::rejected("x"),
            Error::unconfirmed("x"),
            Error::lost("x"),
            Error::unsupported("x"),
            Error::unavailable("x"),
            Error::corrupt("x"),
            Error::denied("x"),
            Error::unheard("x"),
        ] {
            assert!(!(error.is_rejected() && error.is_unconfirmed()));
        }
    }

    #[test]
    fn display_prints_its_own_layer_only() {
        let error = Error::denied("cannot write \"jobs.db\"").caused_by("read-only file system");
        assert_eq!(error.to_string(), "cannot write \"jobs.db\"");
        assert_eq!(error.source().unwrap().to_string(), "read-only file system");
    }
}
