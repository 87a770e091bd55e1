//! From a URL to a broker: the one place that knows every implementation.

use std::path::Path;
use std::sync::Arc;

use crate::broker::Broker;
#[cfg(feature = "amqp")]
use crate::broker::amqp::{AmqpBroker, AmqpOptions};
use crate::broker::memory::MemoryBroker;
#[cfg(feature = "sqlite")]
use crate::broker::sqlite::{SqliteBroker, SqliteOptions};
use crate::client::Client;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::registry::Registry;

/// What a broker URL may look like, for error messages.
const FORMS: &str =
    "use \"sqlite:jobs.db\" for a file, \"amqp://user:password@host/vhost\" for RabbitMQ, or \"memory:\" for a test";

/// Connects to the broker that a URL names: `sqlite:PATH`, `amqp://USER:PASSWORD@HOST/VHOST`, or `memory:` for one that
/// lives in this process alone.
///
/// # Errors
/// When the URL has another form, or the broker cannot be used.
pub async fn connect(url: &str, clock: Clock) -> Result<Arc<dyn Broker>> {
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(Error::invalid(format!("broker URL {url:?} has no scheme; {FORMS}")));
    };
    match scheme {
        "sqlite" => open_sqlite(rest, clock).await,
        "memory" => Ok(MemoryBroker::new(clock)),
        "amqp" | "amqps" => open_amqp(url, clock).await,
        // The rest of a foreign URL may hold a password: only the scheme is repeated.
        _ => Err(Error::invalid(format!("no broker speaks \"{scheme}:\"; {FORMS}"))),
    }
}

/// Connects as [`connect`] does, but makes nothing: for those who look at what others store, and who would take a fresh
/// file for an empty one.
///
/// # Errors
/// As [`connect`], and [`is_invalid`](Error::is_invalid) when a file is not there yet.
pub async fn connect_existing(url: &str, clock: Clock) -> Result<Arc<dyn Broker>> {
    if let Some(path) = url.strip_prefix("sqlite:").map(without_slashes)
        && !path.is_empty()
        && !Path::new(path).exists()
    {
        return Err(Error::invalid(format!("there is no database {path:?}; name the one that the workers use")));
    }
    connect(url, clock).await
}

impl Client {
    /// Connects to the broker that a URL names; see [`connect`].
    ///
    /// # Errors
    /// When two linked job types have one kind, a subscription has no group, the URL has another form, or the broker cannot be used.
    pub async fn connect(url: &str) -> Result<Self> {
        Registry::linked()?;
        Ok(Self::new(connect(url, Clock::system()).await?))
    }
}

/// "sqlite:///var/jobs.db" and "sqlite:/var/jobs.db" mean the same file, as do "sqlite://jobs.db" and "sqlite:jobs.db".
fn without_slashes(rest: &str) -> &str {
    rest.strip_prefix("//").unwrap_or(rest)
}

#[cfg(feature = "sqlite")]
async fn open_sqlite(rest: &str, clock: Clock) -> Result<Arc<dyn Broker>> {
    let path = without_slashes(rest);
    if path.is_empty() {
        return Err(Error::invalid("broker URL \"sqlite:\" names no file; write \"sqlite:jobs.db\""));
    }
    Ok(SqliteBroker::open(path, SqliteOptions::default(), clock).await?)
}

#[cfg(not(feature = "sqlite"))]
async fn open_sqlite(_rest: &str, _clock: Clock) -> Result<Arc<dyn Broker>> {
    Err(Error::unsupported("job-core was built without its feature \"sqlite\"; add the feature"))
}

#[cfg(feature = "amqp")]
async fn open_amqp(url: &str, clock: Clock) -> Result<Arc<dyn Broker>> {
    Ok(AmqpBroker::connect(url, AmqpOptions::default(), clock).await?)
}

#[cfg(not(feature = "amqp"))]
async fn open_amqp(_url: &str, _clock: Clock) -> Result<Arc<dyn Broker>> {
    Err(Error::unsupported(
        "this program was built without RabbitMQ; add the feature \"amqp\" of job-core or job-worker",
    ))
}
