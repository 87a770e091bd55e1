//! The broker's URL: where, as whom, and what the broker does differently from the default.
//!
//! `amqp://user:password@host:5672,other:5672/vhost?namespace=shop&heartbeat=10s&consumer_timeout=2h`. Nothing that is
//! shown or returned as an error holds the password, or anything that may be a part of it.

use std::fmt;
use std::time::Duration;

use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};

use crate::broker::amqp::name::check_namespace;
use crate::error::{Error, Result};

const FORM: &str = "write \"amqp://user:password@host:5672/vhost\"";
const PARAMETERS: &str = "\"namespace\", \"heartbeat\", \"consumer_timeout\", \"connection_name\"";
const PORT_DEFAULT: u16 = 5672;

/// A dead peer is noticed after about twice this time.
const HEARTBEAT_DEFAULT: Duration = Duration::from_secs(10);

/// RabbitMQ's own default.
const CONSUMER_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30 * 60);

/// Most addresses of one broker: more than any cluster has nodes.
const ADDRESSES_MAX: usize = 64;

/// Longest name of a connection: it has to fit into a frame together with the rest of the handshake.
const CONNECTION_NAME_BYTES_MAX: usize = 255;

/// A parsed URL.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct AmqpUrl {
    /// The nodes, in the order in which they are tried; at least one.
    pub(super) addresses: Vec<Address>,
    /// The virtual host.
    pub(super) vhost: String,
    /// What stands before each of our names. Defaults to none.
    pub(super) namespace: Option<String>,
    /// How often each side says that it is alive. Defaults to 10 seconds.
    pub(super) heartbeat: Duration,
    /// How long the server lets a delivery wait for its acknowledgement. Defaults to RabbitMQ's own 30 minutes.
    pub(super) consumer_timeout: Duration,
    /// What operators see in the list of connections. Defaults to a name of ours.
    pub(super) connection_name: Option<String>,
    /// Who connects.
    pub(super) user: String,
    password: String,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl AmqpUrl {
    /// Parses a URL.
    ///
    /// # Errors
    /// [`is_unsupported`](Error::is_unsupported) for `amqps://`; [`is_invalid`](Error::is_invalid) otherwise, naming the
    /// part that is wrong, never one that may hold the password.
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.starts_with("amqps:") {
            return Err(Error::unsupported(
                "this version cannot encrypt a connection to RabbitMQ, and \"amqps:\" is never downgraded; use \"amqp:\" and \
                 the port of unencrypted AMQP, in a network that you trust",
            ));
        }
        let rest =
            text.strip_prefix("amqp://").ok_or_else(|| Error::invalid(format!("this is no broker URL; {FORM}")))?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, password, hosts) = match authority.rsplit_once('@') {
            None => ("guest".into(), "guest".into(), authority),
            Some((credentials, hosts)) => {
                let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
                (decode("user", user)?, decode("password", password)?, hosts)
            }
        };
        // An unencoded "/" or "?" in a password ends the authority early: its rest would be taken for a parameter's name,
        // and be shown.
        if path.contains('@') || query.contains('@') {
            return Err(Error::invalid(format!(
                "the broker URL has an \"@\" behind \"/\" or \"?\"; percent-encode what is special in user, password and vhost: {FORM}"
            )));
        }
        let mut url = Self {
            addresses: addresses(hosts)?,
            vhost: vhost(path)?,
            namespace: None,
            heartbeat: HEARTBEAT_DEFAULT,
            consumer_timeout: CONSUMER_TIMEOUT_DEFAULT,
            connection_name: None,
            user,
            password,
        };
        query.split('&').filter(|pair| !pair.is_empty()).try_for_each(|pair| url.set(pair))?;
        Ok(url)
    }

    /// Returns what lapin connects to, for the node of this number; numbers go round.
    pub(super) fn uri(&self, address: usize) -> AMQPUri {
        let Address { host, port } = self.addresses[address % self.addresses.len()].clone();
        let userinfo = AMQPUserInfo { username: self.user.clone(), password: self.password.clone() };
        let heartbeat = u16::try_from(self.heartbeat.as_secs()).unwrap_or(u16::MAX);
        AMQPUri {
            scheme: AMQPScheme::AMQP,
            authority: AMQPAuthority { userinfo, host, port },
            vhost: self.vhost.clone(),
            query: AMQPQueryString { heartbeat: Some(heartbeat), ..AMQPQueryString::default() },
        }
    }

    /// Returns the number of nodes.
    pub(super) fn addresses(&self) -> usize {
        self.addresses.len()
    }

    fn set(&mut self, pair: &str) -> Result<()> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(name, value)?;
        match name {
            "namespace" => {
                check_namespace(&value)?;
                self.namespace = Some(value);
            }
            "heartbeat" => self.heartbeat = duration(name, &value, Duration::from_secs(3600))?,
            "consumer_timeout" => self.consumer_timeout = duration(name, &value, Duration::from_secs(366 * 24 * 3600))?,
            "connection_name" if (1..=CONNECTION_NAME_BYTES_MAX).contains(&value.len()) => {
                self.connection_name = Some(value);
            }
            "connection_name" => {
                return Err(Error::invalid(format!(
                    "the broker URL's \"connection_name\" has {} bytes; use 1 to {CONNECTION_NAME_BYTES_MAX}",
                    value.len()
                )));
            }
            _ => {
                return Err(Error::invalid(format!(
                    "the broker URL has the unknown parameter {name:?}; use {PARAMETERS}"
                )));
            }
        }
        Ok(())
    }
}

impl fmt::Display for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "amqp://{}@", encode(&self.user))?;
        for (number, address) in self.addresses.iter().enumerate() {
            write!(f, "{}{address}", if number == 0 { "" } else { "," })?;
        }
        write!(f, "/{}", encode(&self.vhost))?;
        match &self.namespace {
            Some(namespace) => write!(f, "?namespace={namespace}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for AmqpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

fn addresses(hosts: &str) -> Result<Vec<Address>> {
    let addresses: Vec<Address> = hosts.split(',').map(address).collect::<Option<_>>().ok_or_else(|| {
        Error::invalid(format!("the broker URL's list of hosts is not of the form \"host:port,host:port\"; {FORM}"))
    })?;
    if addresses.len() > ADDRESSES_MAX {
        let count = addresses.len();
        return Err(Error::invalid(format!("the broker URL names {count} hosts; name at most {ADDRESSES_MAX}")));
    }
    Ok(addresses)
}

fn address(text: &str) -> Option<Address> {
    let (host, port) = match text.strip_prefix('[') {
        // An IPv6 address has colons of its own.
        Some(rest) => rest.split_once(']')?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None if port.is_empty() => PORT_DEFAULT,
        None => return None,
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    (!host.is_empty() && host.chars().all(is_host)).then(|| Address { host: host.into(), port })
}

/// An empty path means "/" here, as people write it; the specification's empty vhost exists nowhere.
fn vhost(path: &str) -> Result<String> {
    if path.contains('/') {
        return Err(Error::invalid(format!("the broker URL's vhost has a \"/\"; write it as \"%2F\": {FORM}")));
    }
    let vhost = decode("vhost", path)?;
    Ok(if vhost.is_empty() { "/".into() } else { vhost })
}

fn duration(name: &str, text: &str, max: Duration) -> Result<Duration> {
    const UNITS: [(&str, u64); 4] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000)];
    let parsed = UNITS.iter().find_map(|(unit, ms)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*ms).map(Duration::from_millis)
    });
    parsed.filter(|duration| (Duration::from_secs(1)..=max).contains(duration)).ok_or_else(|| {
        Error::invalid(format!(
            "the broker URL's {name:?} is {text:?}; write a time such as \"10s\", \"30m\" or \"2h\", from 1s to {}s",
            max.as_secs()
        ))
    })
}

/// Decodes `%2F` and the like. The text itself is not repeated: it may be the password.
fn decode(what: &str, text: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' { hex(&mut rest).ok_or_else(|| not_encoded(what))? } else { byte });
    }
    String::from_utf8(bytes).map_err(|_| not_encoded(what))
}

fn hex(bytes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let mut digit = || char::from(bytes.next()?).to_digit(16);
    let value = digit()? * 16 + digit()?;
    u8::try_from(value).ok()
}

fn not_encoded(what: &str) -> Error {
    Error::invalid(format!("the broker URL's {what} is not percent-encoded UTF-8; write \"%\" as \"%25\""))
}

fn encode(text: &str) -> String {
    let plain = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> AmqpUrl {
        AmqpUrl::parse(text).unwrap()
    }

    fn check_error(text: &str, expected: &str) {
        let error = AmqpUrl::parse(text).unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains(expected), "{text}: {error}");
    }

    #[test]
    fn a_bare_host_has_the_usual_rest() {
        for text in ["amqp://localhost", "amqp://localhost/", "amqp://guest:guest@localhost:5672/%2f"] {
            let url = parse(text);
            assert_eq!(url.addresses, [Address { host: "localhost".into(), port: 5672 }]);
            assert_eq!((url.vhost.as_str(), url.user.as_str(), url.password.as_str()), ("/", "guest", "guest"));
            assert_eq!((url.heartbeat, url.consumer_timeout), (HEARTBEAT_DEFAULT, CONSUMER_TIMEOUT_DEFAULT));
            assert_eq!((url.namespace, url.connection_name), (None, None));
        }
    }

    #[test]
    fn every_part_is_read() {
        let url = parse(
            "amqp://us%40er:p%2Fa%3As%20s@a:1,[::1]:2,c/my%20host?namespace=shop&heartbeat=5s&consumer_timeout=2h&connection_name=web%201",
        );
        let addresses: Vec<String> = url.addresses.iter().map(Address::to_string).collect();
        assert_eq!(addresses, ["a:1", "[::1]:2", "c:5672"]);
        assert_eq!((url.vhost.as_str(), url.user.as_str(), url.password.as_str()), ("my host", "us@er", "p/a:s s"));
        assert_eq!((url.heartbeat, url.consumer_timeout), (Duration::from_secs(5), Duration::from_secs(7200)));
        assert_eq!((url.namespace.as_deref(), url.connection_name.as_deref()), (Some("shop"), Some("web 1")));
    }

    #[test]
    fn lapin_is_told_the_same_and_addresses_go_round() {
        let url = parse("amqp://u:p@a:1,[::1]:2/v?heartbeat=7s");
        let told = |number| {
            let uri = url.uri(number);
            (uri.authority.host, uri.authority.port, uri.query.heartbeat)
        };
        assert_eq!(url.addresses(), 2);
        assert_eq!(told(0), ("a".into(), 1, Some(7)));
        assert_eq!(told(3), ("::1".into(), 2, Some(7)));
        let uri = url.uri(0);
        assert_eq!((uri.authority.userinfo.username, uri.authority.userinfo.password), ("u".into(), "p".into()));
        assert_eq!(uri.vhost, "v");
    }

    #[test]
    fn the_password_is_never_shown() {
        let url = parse("amqp://user:secret@a,b:7/shop?namespace=n");
        assert_eq!(url.to_string(), "amqp://user@a:5672,b:7/shop?namespace=n");
        assert_eq!(format!("{url:?}"), url.to_string());
        assert_eq!(parse("amqp://user:secret@a").to_string(), "amqp://user@a:5672/%2F");
    }

    #[test]
    fn no_error_repeats_what_may_be_the_password() {
        for text in [
            "amqp://user:sec%ret@a",
            "amqp://user:sec/ret@a",
            "amqp://user:sec?ret@a/v",
            "amqp://user:secret%ff@a",
            "amqp://us@er:12?sec@ret",
            "amqp://user:secret@a:port",
            "amqp://user:secret@",
            "amqp:user:secret@a",
            "user:secret@a",
            "amqp://user:sec/ret",
            "amqps://user:secret@a",
        ] {
            let error = AmqpUrl::parse(text).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("sec") && !shown.contains("ret"), "{text}: {shown}");
        }
    }

    #[test]
    fn encryption_is_refused_and_never_left_out() {
        let error = AmqpUrl::parse("amqps://a").unwrap_err();
        assert!(error.is_unsupported() && error.to_string().contains("never downgraded"), "{error}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        check_error("http://a", "write \"amqp://");
        check_error("amqp://a:0", "\"host:port,host:port\"");
        check_error("amqp://a,,b", "\"host:port,host:port\"");
        check_error("amqp://[::1]x", "\"host:port,host:port\"");
        check_error("amqp://a/b/c", "write it as \"%2F\"");
        check_error("amqp://a?hartbeat=1s", "unknown parameter \"hartbeat\"; use \"namespace\", \"heartbeat\"");
        check_error("amqp://a?heartbeat=0s", "from 1s to 3600s");
        check_error("amqp://a?heartbeat=10", "\"heartbeat\" is \"10\"");
        check_error("amqp://a?consumer_timeout=99999999999999999999h", "\"consumer_timeout\"");
        check_error("amqp://a?namespace=a.b", "namespace \"a.b\"");
        check_error("amqp://a?connection_name=", "\"connection_name\" has 0 bytes");
        check_error(&format!("amqp://{}", vec!["a"; 65].join(",")), "names 65 hosts");
    }
}
