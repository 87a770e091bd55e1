//! The builders of events that are awaited: one event, or many.

use std::future::IntoFuture;
use std::sync::Arc;

use crate::broker::{BoxFuture, Outgoing, Stored};
use crate::client::{CHUNK, Client, PublishError, PublishManyError, set_header};
use crate::error::Result;
use crate::name::JobId;

/// What became of an event that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its id, the same in each of its copies.
    pub id: JobId,
    /// How many queues took a copy just now, where the broker can tell.
    pub copies: Option<u32>,
}

/// An event about to be published. Awaiting it sends it; a mistake in an option is the error of that await.
#[must_use = "an event is sent when this is awaited"]
pub struct Publish {
    client: Client,
    draft: Result<Outgoing>,
}

impl Publish {
    pub(crate) fn new(client: Client, draft: Result<Outgoing>) -> Self {
        Self { client, draft }
    }

    /// Adds a header: metadata that goes with each copy, and by which headers events are chosen. `traceparent` and
    /// `tracestate` (W3C) are understood.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.edit(|message| set_header(&mut message.envelope, name, value))
    }

    /// Chooses the id. While a queue holds a copy of an event, the same id is not stored there again.
    pub fn id(self, id: &str) -> Self {
        self.edit(|message| {
            message.envelope.id = JobId::parse(id)?;
            Ok(())
        })
    }

    /// Demands that somebody hears it: when no queue is bound that takes it, nothing is stored, and the error
    /// [`is_unheard`](PublishError::is_unheard).
    pub fn require_subscriber(self) -> Self {
        self.edit(|message| {
            message.must_reach = true;
            Ok(())
        })
    }

    fn edit(mut self, change: impl FnOnce(&mut Outgoing) -> Result<()>) -> Self {
        self.draft = self.draft.and_then(|mut message| change(&mut message).map(|()| message));
        self
    }
}

impl IntoFuture for Publish {
    type Output = Result<Published, PublishError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { client, draft } = self;
            publish_chunk(&client, vec![draft]).await.pop().expect("one event has one outcome")
        })
    }
}

/// Many events about to be published. Awaiting it sends them, in chunks.
#[must_use = "events are sent when this is awaited"]
pub struct PublishMany {
    client: Client,
    builders: Vec<Publish>,
}

impl PublishMany {
    pub(crate) fn new(client: Client, builders: Vec<Publish>) -> Self {
        Self { client, builders }
    }

    /// Changes each event before it is sent, such as `.each(|event| event.require_subscriber())`.
    pub fn each(mut self, change: impl FnMut(Publish) -> Publish) -> Self {
        self.builders = self.builders.into_iter().map(change).collect();
        self
    }
}

impl IntoFuture for PublishMany {
    type Output = Result<Vec<Published>, PublishManyError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut outcomes = Vec::with_capacity(self.builders.len());
            let mut drafts = self.builders.into_iter().map(|builder| builder.draft);
            loop {
                let chunk: Vec<Result<Outgoing>> = drafts.by_ref().take(CHUNK).collect();
                if chunk.is_empty() {
                    return PublishManyError::check(outcomes);
                }
                outcomes.extend(publish_chunk(&self.client, chunk).await);
            }
        })
    }
}

/// Sends the sound ones among the drafts, and returns the outcome of each draft in its place.
async fn publish_chunk(client: &Client, drafts: Vec<Result<Outgoing>>) -> Vec<Result<Published, PublishError>> {
    let mut messages = Vec::with_capacity(drafts.len());
    let mut mistakes = Vec::with_capacity(drafts.len());
    for draft in drafts {
        mistakes.push(match draft {
            Ok(message) => {
                messages.push(message);
                None
            }
            Err(error) => Some(error),
        });
    }
    let messages = Arc::new(messages);
    let mut sent = messages.iter().zip(client.send(&messages).await);
    let mut outcome = |mistake| match mistake {
        Some(error) => Err(PublishError::new(error, None, client)),
        None => answered(client, sent.next().expect("each message has one answer")),
    };
    mistakes.into_iter().map(&mut outcome).collect()
}

fn answered(client: &Client, (message, answer): (&Outgoing, Result<Stored>)) -> Result<Published, PublishError> {
    match answer {
        Ok(Stored { copies }) => Ok(Published { id: message.envelope.id.clone(), copies }),
        Err(error) => Err(PublishError::new(error, Some(message.clone()), client)),
    }
}
