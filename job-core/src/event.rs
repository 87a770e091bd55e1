//! What makes a type an event: its kind, its JSON, where it goes, and the headers that go with it.
//!
//! `#[derive(Event)]` implements it. Who listens is the listener's business: see `#[job(on(…))]`.

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::name::ExchangeName;
use crate::topology::Target;

/// A fact that is copied to every subscription which is bound at that moment, heard or not.
///
/// Derive it: `#[derive(Event, Serialize)]`, with `#[event(topic = "member.profile.updated")]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "add `#[derive(Event, Serialize)]` to the type, with `#[event(topic = \"…\")]`"
)]
pub trait Event: Serialize {
    /// The name on the wire. It is information: who gets the event is decided by its target alone.
    const KIND: &'static str;

    /// Returns where the event goes.
    ///
    /// # Errors
    /// When a field that is part of the key has a value that cannot be.
    fn target(&self) -> Result<Target>;

    /// Returns the headers that go with it, by name. Defaults to none.
    fn headers(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::new()
    }

    /// Encodes the payload: the event's own JSON.
    ///
    /// # Errors
    /// Names the event; the cause is that of the type's `Serialize`.
    fn payload(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self)
            .map_err(|e| Error::invalid(format!("the event \"{}\" cannot be written as JSON", Self::KIND)).caused_by(e))
    }
}

/// A piece of a routing key; derived code makes it.
#[doc(hidden)]
#[derive(Clone, Copy)]
pub enum KeyPart<'a> {
    /// It stands in the attribute.
    Text(&'static str),
    /// It is the value of the field of this name.
    Field(&'static str, &'a dyn Display),
}

/// Puts a routing key together; derived code calls it.
///
/// # Errors
/// When the value of a field is empty or has a dot or a wildcard: the key would be another one than the listeners expect.
#[doc(hidden)]
pub fn key_of(parts: &[KeyPart<'_>]) -> Result<String> {
    let mut key = String::new();
    for part in parts {
        match part {
            KeyPart::Text(text) => key.push_str(text),
            KeyPart::Field(name, value) => {
                let start = key.len();
                write!(key, "{value}").map_err(|e| Error::invalid(format!("{name} cannot be written")).caused_by(e))?;
                check_value(name, &key[start..])?;
            }
        }
    }
    Ok(key)
}

/// Returns a target at somebody else's exchange; derived code calls it.
///
/// # Errors
/// When the exchange has no name that somebody else's can have.
#[doc(hidden)]
pub fn at_exchange(exchange: &str, target: Target) -> Result<Target> {
    Ok(target.at(ExchangeName::parse(exchange)?))
}

fn check_value(name: &str, value: &str) -> Result<()> {
    if value.is_empty() {
        return Err(Error::invalid(format!("the field `{name}` is part of the routing key, and is empty")));
    }
    match value.chars().find(|c| matches!(c, '.' | '*' | '#')) {
        None => Ok(()),
        Some(c) => Err(Error::invalid(format!(
            "the field `{name}` is part of the routing key, and its value {value:?} has the character '{c}', which would \
             make it another key; leave the field out of the key, or write it without"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(value: &dyn Display) -> Result<String> {
        key_of(&[KeyPart::Text("user."), KeyPart::Field("id", value), KeyPart::Text(".deleted")])
    }

    #[test]
    fn a_field_is_one_word_of_the_key() {
        assert_eq!(key(&7).unwrap(), "user.7.deleted");
        assert_eq!(key(&"ada@example").unwrap(), "user.ada@example.deleted");
        for value in ["", "a.b", "*", "a#"] {
            let error = key(&value).unwrap_err();
            assert!(error.is_invalid() && error.to_string().contains("`id`"), "{error}");
        }
    }
}
