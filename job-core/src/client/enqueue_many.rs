//! The builder of many jobs, which is awaited: sends them in chunks, the next one while the broker stores the one before.

use std::collections::VecDeque;
use std::future::{IntoFuture, poll_fn};
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::broker::{BoxFuture, Outgoing};
use crate::client::{CHUNK, Client, Enqueue, EnqueueError, EnqueueManyError};
use crate::error::Result;
use crate::name::JobId;

/// Chunks on their way: the broker stores one while another is made or answered.
const CHUNKS_MAX: usize = 2;

/// Many jobs about to be enqueued. Awaiting it takes them from their iterator and sends them, in chunks.
#[must_use = "jobs are sent when this is awaited"]
pub struct EnqueueMany<'a> {
    client: Client,
    drafts: Box<dyn Iterator<Item = Result<Outgoing>> + Send + 'a>,
}

type Outcomes = Vec<Result<JobId, EnqueueError>>;

/// A chunk on its way, and what became of it.
struct Sent {
    sending: BoxFuture<'static, Outcomes>,
    outcomes: Option<Outcomes>,
}

impl<'a> EnqueueMany<'a> {
    pub(crate) fn new(client: Client, drafts: impl Iterator<Item = Result<Outgoing>> + Send + 'a) -> Self {
        Self { client, drafts: Box::new(drafts) }
    }

    /// Changes each job before it is sent, such as `.each(|job| job.delay(minute))`.
    pub fn each(self, mut change: impl FnMut(Enqueue) -> Enqueue + Send + 'a) -> Self {
        let client = self.client.clone();
        let change = move |draft| change(Enqueue::new(client.clone(), draft)).into_message();
        Self::new(self.client, self.drafts.map(change))
    }
}

impl<'a> IntoFuture for EnqueueMany<'a> {
    type Output = Result<Vec<JobId>, EnqueueManyError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut drafts = self.drafts.fuse();
            let mut all = Vec::with_capacity(drafts.size_hint().0);
            let mut sent = VecDeque::with_capacity(CHUNKS_MAX);
            loop {
                while sent.len() < CHUNKS_MAX
                    && let Some(chunk) = next_chunk(&mut drafts)
                {
                    sent.push_back(Sent::new(Box::pin(publish(self.client.clone(), chunk))));
                    // Handed over now: it is stored while the next one is made.
                    poll_fn(|cx| {
                        poll_all(&mut sent, cx);
                        Poll::Ready(())
                    })
                    .await;
                }
                let Some(outcomes) = poll_fn(|cx| poll_first(&mut sent, cx)).await else {
                    return EnqueueManyError::check(all);
                };
                all.extend(outcomes);
            }
        })
    }
}

impl Sent {
    fn new(sending: BoxFuture<'static, Outcomes>) -> Self {
        Self { sending, outcomes: None }
    }

    fn poll(&mut self, cx: &mut Context<'_>) {
        if self.outcomes.is_none()
            && let Poll::Ready(outcomes) = self.sending.as_mut().poll(cx)
        {
            self.outcomes = Some(outcomes);
        }
    }
}

fn next_chunk(drafts: &mut dyn Iterator<Item = Result<Outgoing>>) -> Option<Vec<Result<Outgoing>>> {
    let mut chunk = Vec::with_capacity(CHUNK.min(drafts.size_hint().0));
    chunk.extend(drafts.take(CHUNK));
    (!chunk.is_empty()).then_some(chunk)
}

fn poll_all(sent: &mut VecDeque<Sent>, cx: &mut Context<'_>) {
    sent.iter_mut().for_each(|chunk| chunk.poll(cx));
}

/// Polls all chunks, and removes the first one once it has ended; `None` when there is none.
fn poll_first(sent: &mut VecDeque<Sent>, cx: &mut Context<'_>) -> Poll<Option<Outcomes>> {
    poll_all(sent, cx);
    match sent.pop_front() {
        None => Poll::Ready(None),
        Some(Sent { outcomes: Some(outcomes), .. }) => Poll::Ready(Some(outcomes)),
        Some(pending) => {
            sent.push_front(pending);
            Poll::Pending
        }
    }
}

async fn publish(client: Client, chunk: Vec<Result<Outgoing>>) -> Outcomes {
    let mut outcomes = Vec::with_capacity(chunk.len());
    let mut messages = Vec::with_capacity(chunk.len());
    let mut places = Vec::with_capacity(chunk.len());
    for (place, draft) in chunk.into_iter().enumerate() {
        match draft {
            Ok(message) => {
                outcomes.push(Ok(message.envelope.id.clone()));
                messages.push(message);
                places.push(place);
            }
            Err(error) => outcomes.push(Err(EnqueueError::new(error, None, &client))),
        }
    }
    let messages = Arc::new(messages);
    let answers = client.send(&messages).await;
    for ((place, message), answer) in places.into_iter().zip(&*messages).zip(answers) {
        if let Err(error) = answer {
            outcomes[place] = Err(EnqueueError::new(error, Some(message.clone()), &client));
        }
    }
    outcomes
}
