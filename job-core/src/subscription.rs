//! What a job listens to, as its type says it: the plain data behind `#[job(on(…))]`.

use crate::application;
use crate::error::{Error, Result};
use crate::name::{ExchangeName, QueueName};
use crate::topology::{HeadersMode, Pattern};

/// The subscription of a job's type, constant over the life of the program. Its jobs are events, in a queue of its own.
#[derive(Clone, Copy, Debug)]
pub struct Subscription {
    /// Whose queue it is; that of the [application](crate::application!) where it is `None`.
    pub group: Option<&'static str>,
    /// What it listens to. An event that several of them take is one job.
    pub sources: &'static [Source],
    /// Every process has a queue of its own, which is gone with it.
    pub is_ephemeral: bool,
}

/// One thing to listen to; see [`Pattern`].
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// Topic events whose key matches.
    Topic(&'static str),
    /// Direct events with exactly this key.
    Direct(&'static str),
    /// Headers events that have all, or any, of these headers.
    Headers(HeadersMode, &'static [(&'static str, &'static str)]),
    /// All events of the fanout of this name.
    Fanout(&'static str),
    /// As one of the above, at an exchange that somebody else declared.
    Foreign(&'static str, &'static Self),
}

impl Source {
    /// Returns the pattern of the binding.
    ///
    /// # Errors
    /// When the exchange has no name that somebody else's can have, or the key is too long.
    pub fn pattern(&self) -> Result<Pattern> {
        let pattern = match *self {
            Self::Topic(key) => Pattern::Topic(key.into()),
            Self::Direct(key) => Pattern::Direct(key.into()),
            Self::Headers(mode, values) => {
                let values = values.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
                Pattern::Headers { mode, values }
            }
            Self::Fanout(name) => Pattern::Fanout(name.into()),
            Self::Foreign(exchange, source) => source.pattern()?.at(ExchangeName::parse(exchange)?),
        };
        pattern.check()?;
        Ok(pattern)
    }
}

impl Subscription {
    /// Returns the group.
    ///
    /// # Errors
    /// When neither the type nor the program names one.
    pub fn group(&self) -> Result<&'static str> {
        if let Some(group) = self.group {
            return Ok(group);
        }
        application::name()?.ok_or_else(|| {
            Error::invalid(
                "it has no group; say group = \"…\" in its #[job(…)], or job_core::application!(\"…\") once in the program",
            )
        })
    }

    /// Returns the queue of a kind, `<group>.<kind>`.
    ///
    /// # Errors
    /// When there is no group, the name is too long, or it is reserved.
    pub fn queue(&self, kind: &str) -> Result<QueueName> {
        QueueName::parse(&format!("{}.{kind}", self.group()?))
    }

    /// Returns the queue of a kind in one process, `<group>.<kind>.<process>`.
    ///
    /// # Errors
    /// As [`queue`](Self::queue).
    pub fn process_queue(&self, kind: &str, process: &str) -> Result<QueueName> {
        QueueName::parse(&format!("{}.{process}", self.queue(kind)?))
    }

    /// Returns the patterns of its bindings.
    ///
    /// # Errors
    /// As [`Source::pattern`].
    pub fn patterns(&self) -> Result<Vec<Pattern>> {
        self.sources.iter().map(Source::pattern).collect()
    }
}
