//! Binds queues to the exchanges of events.

use lapin::types::{AMQPValue, FieldTable};

use crate::broker::amqp::argument::Exchange;
use crate::broker::amqp::declare::Work;
use crate::error::Result;
use crate::topology::{Binding, HeadersMode, Pattern};

impl Work<'_> {
    /// Binds a queue to the events of a pattern, whose exchange it declares, or looks for where it is somebody else's.
    pub(super) async fn bind_events(&mut self, binding: &Binding) -> Result<()> {
        let queue = self.names.queue(&binding.queue);
        let exchange = self.exchange_of(&binding.pattern)?;
        match &binding.pattern {
            Pattern::Foreign { .. } => self.find_exchange(&exchange).await?,
            Pattern::Topic(_) => self.exchange(&exchange, Exchange::EventsTopic).await?,
            Pattern::Direct(_) => self.exchange(&exchange, Exchange::EventsDirect).await?,
            Pattern::Headers { .. } => self.exchange(&exchange, Exchange::EventsHeaders).await?,
            Pattern::Fanout(_) => self.exchange(&exchange, Exchange::EventsFanout).await?,
        }
        let (key, arguments) = rule(&binding.pattern);
        self.bind(&queue, &exchange, key, arguments).await
    }

    /// Returns the exchange whose events a pattern is about.
    pub(super) fn exchange_of(&self, pattern: &Pattern) -> Result<String> {
        Ok(match pattern {
            Pattern::Topic(_) => self.names.events(),
            Pattern::Direct(_) => self.names.events_direct(),
            Pattern::Headers { .. } => self.names.events_headers(),
            Pattern::Fanout(name) => self.names.fanout(name)?,
            Pattern::Foreign { exchange, .. } => exchange.as_str().to_owned(),
        })
    }
}

/// Returns the key and the arguments of a binding.
pub(super) fn rule(pattern: &Pattern) -> (&str, FieldTable) {
    let mut arguments = FieldTable::default();
    let key = match pattern {
        Pattern::Topic(key) | Pattern::Direct(key) => key,
        Pattern::Fanout(_) => "",
        Pattern::Headers { mode, values } => {
            let mode = if *mode == HeadersMode::All { "all" } else { "any" };
            arguments.insert("x-match".into(), AMQPValue::LongString(mode.into()));
            for (name, value) in values {
                arguments.insert(name.as_str().into(), AMQPValue::LongString(value.as_str().into()));
            }
            ""
        }
        Pattern::Foreign { pattern, .. } => return rule(pattern),
    };
    (key, arguments)
}
