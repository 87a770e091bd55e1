//! Stand-in of the URL.
use crate::error::{Error, Result};

/// A URL.
pub(super) struct AmqpUrl {
    uri: lapin::uri::AMQPUri,
    pub(super) namespace: Option<String>,
    pub(super) connection_name: Option<String>,
}

impl AmqpUrl {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (base, namespace) = match text.split_once("?namespace=") {
            Some((base, ns)) => (base, Some(ns.to_owned())),
            None => (text, None),
        };
        Ok(Self { uri: base.parse().map_err(|e: String| Error::invalid(e))?, namespace, connection_name: None })
    }
    pub(super) fn uri(&self, _address: usize) -> lapin::uri::AMQPUri {
        self.uri.clone()
    }
    pub(super) fn addresses(&self) -> usize {
        1
    }
}
impl std::fmt::Display for AmqpUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "amqp://{}", self.uri.authority.host)
    }
}
impl std::fmt::Debug for AmqpUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}
