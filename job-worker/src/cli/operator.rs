//! The connection of one operator's command: made to what exists already, and closed in an orderly way.

use job_core::broker::Inspect;
use job_core::client::Client;
use job_core::clock::Clock;
use job_core::connect::connect_existing;
use job_core::error::{Error, Result};
use job_core::registry::Registry;

use crate::cli::exit::Failure;

/// An operator at work.
pub(super) struct Operator {
    pub(super) client: Client,
}

impl Operator {
    /// Connects, does the work, and closes: what was taken and not settled is given back then.
    pub(super) async fn run<T>(url: &str, work: impl AsyncFnOnce(&Self) -> Result<T, Failure>) -> Result<T, Failure> {
        // Two types of one kind would check payloads against either.
        Registry::linked()?;
        let operator = Self { client: Client::new(connect_existing(url, Clock::system()).await?) };
        let done = work(&operator).await;
        let closed = operator.client.close().await;
        let value = done?;
        closed?;
        Ok(value)
    }

    /// Returns the broker's view for operators.
    pub(super) fn inspect(&self) -> Result<&dyn Inspect> {
        let broker = self.client.broker();
        broker.inspect().ok_or_else(|| {
            Error::unsupported(format!("the broker \"{}\" cannot be looked into", broker.capabilities().name))
        })
    }

    /// Returns the broker's clock.
    pub(super) fn clock(&self) -> &Clock {
        self.client.broker().clock()
    }
}
