//! What went wrong on a connection or channel, as an error that says what to do about it.
//!
//! The texts of RabbitMQ name queues, users and hosts, never a password; ours are built from them and add nothing secret.

use lapin::ErrorKind;
use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError};

use crate::error::Error;

/// What a failure means for those who would try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Trying again may help: the network, or a node that is down.
    Passing,
    /// It will fail again until somebody changes something: credentials, permissions, names.
    Lasting,
}

/// Returns the error of something that failed; `what` completes "cannot …".
pub(super) fn error(what: &str, cause: &lapin::Error) -> Error {
    let text = format!("cannot {what}");
    match protocol(cause).map(AMQPError::kind) {
        Some(AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)) => {
            Error::denied(format!("{text}; check the user, its password and its permissions on the virtual host"))
        }
        Some(AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)) => {
            Error::denied(format!("{text}; check the virtual host, and the user's access to it"))
        }
        Some(AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND | AMQPSoftError::PRECONDITIONFAILED)) => Error::invalid(text),
        Some(AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED)) => {
            Error::invalid(format!("{text}; it belongs to another process, or is of another kind"))
        }
        _ => Error::unavailable(text),
    }
    .caused_by(cause.clone())
}

/// Says whether trying again may help.
pub(super) fn fate(cause: &lapin::Error) -> Fate {
    match protocol(cause).map(AMQPError::kind) {
        Some(
            AMQPErrorKind::Soft(
                AMQPSoftError::ACCESSREFUSED | AMQPSoftError::NOTFOUND | AMQPSoftError::PRECONDITIONFAILED,
            )
            | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED),
        ) => Fate::Lasting,
        _ => Fate::Passing,
    }
}

/// Says whether something was looked for that does not exist.
pub(super) fn is_not_found(cause: &lapin::Error) -> bool {
    matches!(protocol(cause).map(AMQPError::kind), Some(AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND)))
}

/// Says whether something exists, and differs from what was declared.
pub(super) fn is_mismatch(cause: &lapin::Error) -> bool {
    matches!(protocol(cause).map(AMQPError::kind), Some(AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED)))
}

/// Returns what RabbitMQ itself said.
pub(super) fn protocol(cause: &lapin::Error) -> Option<&AMQPError> {
    match cause.kind() {
        ErrorKind::ProtocolError(error) => Some(error),
        _ => None,
    }
}
