//! The producer's side: turns jobs into stored messages, and answers honestly what became of them.
//!
//! A client is cheap to clone and shares its broker. It sends nothing in the background: what has not been awaited has
//! not been sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::broker::{Broker, Inspect, JobState, Outcome, Outgoing, Stored, Which};
use crate::chain::Chain;
use crate::envelope::{Envelope, PAYLOAD_BYTES_MAX_DEFAULT, check_headers};
use crate::error::{Error, Result};
use crate::event::Event;
use crate::job::{AnyJob, Job, JobType, encode, unwritable};
use crate::name::{JobId, Kind};
use crate::observation::{Observation, Observers};
use crate::options::JobOptions;
use crate::trace::TraceParent;

mod enqueue;
mod enqueue_error;
mod enqueue_many;
mod heading;
mod publish;
mod publish_error;
mod schedules;
mod unsent;

use heading::Heading;

pub use enqueue::Enqueue;
pub use enqueue_error::{EnqueueError, EnqueueManyError};
pub use enqueue_many::EnqueueMany;
pub use publish::{Publish, PublishMany, Published};
pub use publish_error::{PublishError, PublishManyError};
pub use schedules::Schedules;

/// How long a client tries an unconfirmed publish again, under the same id, before it answers *unconfirmed*.
pub const PUBLISH_DEADLINE_DEFAULT: Duration = Duration::from_secs(30);

/// Messages that are handed to the broker at once: enough to fill a commit, and bounded in memory.
const CHUNK: usize = 1024;

/// Enqueues jobs and publishes events.
#[derive(Clone)]
pub struct Client {
    broker: Arc<dyn Broker>,
    settings: Settings,
    /// The job in whose run this client was handed out.
    origin: Option<Arc<Origin>>,
}

#[derive(Clone)]
struct Settings {
    payload_bytes_max: usize,
    publish_deadline: Duration,
    observers: Observers,
}

struct Origin {
    id: JobId,
    sequence: u32,
    trace: Option<TraceParent>,
    trace_state: Option<String>,
    children: AtomicU32,
}

impl Client {
    /// Makes a client of a broker; `Client::connect` takes a URL instead.
    pub fn new(broker: Arc<dyn Broker>) -> Self {
        let settings = Settings {
            payload_bytes_max: PAYLOAD_BYTES_MAX_DEFAULT,
            publish_deadline: PUBLISH_DEADLINE_DEFAULT,
            observers: Observers::default(),
        };
        Self { broker, settings, origin: None }
    }

    /// Sets the largest payload that is sent, in bytes. Defaults to [`PAYLOAD_BYTES_MAX_DEFAULT`].
    #[must_use]
    pub fn payload_bytes_max(mut self, bytes: usize) -> Self {
        self.settings.payload_bytes_max = bytes;
        self
    }

    /// Sets how long an unconfirmed publish is tried again. Defaults to [`PUBLISH_DEADLINE_DEFAULT`].
    #[must_use]
    pub fn publish_deadline(mut self, deadline: Duration) -> Self {
        self.settings.publish_deadline = deadline;
        self
    }

    /// Adds observers of what this client stores.
    #[must_use]
    pub fn observers(mut self, observers: Observers) -> Self {
        self.settings.observers = observers;
        self
    }

    /// Returns the client that a handler gets: its jobs have ids derived from `parent`'s id, its sequence and a
    /// counter, and stay in its trace.
    #[must_use]
    pub fn child_of(&self, parent: &Envelope) -> Self {
        let origin = Origin {
            id: parent.id.clone(),
            sequence: parent.sequence,
            trace: parent.details.trace,
            trace_state: parent.details.trace_state.clone(),
            children: AtomicU32::new(0),
        };
        Self { origin: Some(Arc::new(origin)), ..self.clone() }
    }

    /// Enqueues a job. Awaiting the builder sends it and returns its id once it is stored.
    ///
    /// Dropping a builder that is being awaited leaves it unknown whether the job was stored.
    pub fn enqueue<J: Job>(&self, job: J) -> Enqueue {
        self.builder(J::KIND, J::OPTIONS, encode(&job))
    }

    /// Enqueues the first job of a chain, with the others as data that travels with it. The builder's options are those
    /// of the first job, and so is the id; headers and trace go on to the others.
    pub fn enqueue_chain(&self, chain: Chain) -> Enqueue {
        let Chain { first, rest } = chain;
        self.builder(first.kind, first.options, first.payload).followed_by(rest)
    }

    /// Enqueues a job of a type that is not known here.
    pub fn enqueue_any(&self, job: &dyn AnyJob) -> Enqueue {
        let payload = job.payload().map_err(|e| unwritable(job.kind(), e));
        self.builder(job.kind(), *job.options(), payload)
    }

    /// Enqueues a payload under a kind. A kind that is linked here brings its queue and options; another goes to the
    /// queue `default` unless [`queue`](Enqueue::queue) names one.
    pub fn enqueue_raw(&self, kind: &str, json: impl Into<Vec<u8>>) -> Enqueue {
        let payload = json.into();
        let payload = match serde_json::from_slice::<serde::de::IgnoredAny>(&payload) {
            Ok(_) => Ok(payload),
            Err(error) => Err(Error::invalid(format!("the payload of \"{kind}\" is not JSON")).caused_by(error)),
        };
        let options = JobType::find(kind).map_or(JobOptions::DEFAULT, |t| t.options);
        self.builder(kind, options, payload)
    }

    /// Enqueues many jobs of one type. The order of the ids is that of the jobs.
    ///
    /// Jobs are taken from their iterator and sent in chunks; an error holds the outcome of every single one.
    pub fn enqueue_many<'a, J: Job>(&self, jobs: impl IntoIterator<Item = J, IntoIter: Send + 'a>) -> EnqueueMany<'a> {
        let client = self.clone();
        let heading = Heading::new(J::KIND, J::OPTIONS).ok();
        let draft = move |job: J| match &heading {
            Some(heading) => client.draft(heading, encode(&job)),
            // An error for each of them.
            None => client.draft(&Heading::new(J::KIND, J::OPTIONS)?, encode(&job)),
        };
        EnqueueMany::new(self.clone(), jobs.into_iter().map(draft))
    }

    /// Publishes an event: each queue that is bound to it gets a copy, and where none is, the event is gone. Awaiting the
    /// builder sends it, and tells its id once all copies are stored.
    pub fn publish<E: Event>(&self, event: E) -> Publish {
        Publish::new(self.clone(), self.event(&event))
    }

    /// Publishes many events of one type, in chunks; an error holds the outcome of every single one. The order of the
    /// answers is that of the events.
    pub fn publish_many<E: Event>(&self, events: impl IntoIterator<Item = E>) -> PublishMany {
        let builders = events.into_iter().map(|event| self.publish(event)).collect();
        PublishMany::new(self.clone(), builders)
    }

    /// Cancels a waiting or delayed job; a dead one is removed too. Returns false when no queue holds the id, or a
    /// worker has the job already.
    ///
    /// # Errors
    /// [`is_unsupported`](Error::is_unsupported) where the broker cannot.
    pub async fn cancel(&self, id: &JobId) -> Result<bool> {
        let inspect = self.inspect(self.broker.capabilities().can_cancel, "cancel a job by its id")?;
        let Some(found) = inspect.find(id).await? else {
            return Ok(false);
        };
        let mut is_cancelled = false;
        for delivery in inspect.take(&found.queue, Which::Id(id.clone())).await? {
            match delivery.settle.settle(Outcome::Done { then: Vec::new() }).await {
                Ok(()) => is_cancelled = true,
                Err(error) if error.is_lost() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(is_cancelled)
    }

    /// Returns what a job is doing; `None` when no queue holds its id: it is done, cancelled, or never was.
    ///
    /// # Errors
    /// [`is_unsupported`](Error::is_unsupported) where the broker cannot.
    pub async fn state(&self, id: &JobId) -> Result<Option<JobState>> {
        let inspect = self.inspect(self.broker.capabilities().can_find, "look up a job by its id")?;
        Ok(inspect.find(id).await?.map(|found| found.state))
    }

    /// Returns the broker.
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.broker
    }

    /// Finishes what is under way and gives up the connection, for all clones.
    ///
    /// # Errors
    /// When the broker could not finish.
    pub async fn close(&self) -> Result<()> {
        self.broker.close().await
    }

    fn builder(&self, kind: &str, options: JobOptions, payload: Result<Vec<u8>>) -> Enqueue {
        let draft = Heading::new(kind, options).and_then(|heading| self.draft(&heading, payload));
        Enqueue::new(self.clone(), draft)
    }

    fn draft(&self, heading: &Heading, payload: Result<Vec<u8>>) -> Result<Outgoing> {
        let mut envelope = self.envelope(&heading.kind, payload?)?;
        envelope.details.expires = heading.expires.map(|d| crate::clock::later(envelope.enqueued_at, d));
        Ok(Outgoing::to_queue(heading.queue.clone(), envelope))
    }

    fn event<E: Event>(&self, event: &E) -> Result<Outgoing> {
        let message = Outgoing::event(event.target()?, self.envelope(&Kind::parse(E::KIND)?, event.payload()?)?);
        message.check()?;
        event.headers().into_iter().try_fold(message, |mut message, (name, value)| {
            set_header(&mut message.envelope, name, &value)?;
            Ok(message)
        })
    }

    fn envelope(&self, kind: &Kind, payload: Vec<u8>) -> Result<Envelope> {
        let now = self.broker.clock().now();
        check_payload_size(kind.as_str(), payload.len(), self.settings.payload_bytes_max)?;
        let mut envelope = Envelope::new(self.next_id(now), kind.clone(), payload, now);
        if let Some(origin) = &self.origin {
            envelope.details.trace = origin.trace.map(TraceParent::child);
            envelope.details.trace_state.clone_from(&origin.trace_state);
        }
        Ok(envelope)
    }

    fn next_id(&self, now: crate::clock::Timestamp) -> JobId {
        match &self.origin {
            None => JobId::new(now),
            Some(origin) => {
                let child = origin.children.fetch_add(1, Ordering::Relaxed);
                origin.id.derive(&format!("{}/{child}", origin.sequence))
            }
        }
    }

    /// Publishes until each message is stored or rejected, or the deadline has passed.
    async fn send(&self, messages: &Arc<Vec<Outgoing>>) -> Vec<Result<Stored>> {
        let clock = self.broker.clock();
        let begun = clock.monotonic();
        let mut answers = self.broker.publish_shared(Arc::clone(messages)).await;
        let mut pause = Duration::from_millis(200);
        while is_any_unconfirmed(&answers) && clock.monotonic() - begun + pause < self.settings.publish_deadline {
            clock.sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(5));
            self.send_unconfirmed(messages, &mut answers).await;
        }
        for (message, answer) in messages.iter().zip(&answers) {
            self.observe(message, answer);
        }
        answers
    }

    /// Tries again, under the same ids: what had been stored after all is not stored twice while it is there.
    async fn send_unconfirmed(&self, messages: &[Outgoing], answers: &mut [Result<Stored>]) {
        let open: Vec<usize> = (0..answers.len()).filter(|i| is_unconfirmed(&answers[*i])).collect();
        let again = open.iter().map(|i| messages[*i].clone()).collect();
        for (i, answer) in open.into_iter().zip(self.broker.publish(again).await) {
            // A rejection of the second try says nothing about the first: only a stored copy settles the question.
            if answer.is_ok() {
                answers[i] = answer;
            }
        }
    }

    fn observe(&self, message: &Outgoing, answer: &Result<Stored>) {
        if let (Ok(_), Some(queue), Some(kind)) = (answer, message.target.queue(), &message.envelope.kind) {
            self.settings.observers.emit(&Observation::Enqueued { queue, kind, id: &message.envelope.id });
        }
    }

    fn inspect(&self, can: bool, what: &str) -> Result<&dyn Inspect> {
        let inspect = self.broker.inspect().filter(|_| can);
        inspect.ok_or_else(|| {
            Error::unsupported(format!("the broker \"{}\" cannot {what}", self.broker.capabilities().name))
        })
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("broker", &self.broker.capabilities().name).finish_non_exhaustive()
    }
}

fn is_any_unconfirmed(answers: &[Result<Stored>]) -> bool {
    answers.iter().any(is_unconfirmed)
}

fn is_unconfirmed(answer: &Result<Stored>) -> bool {
    answer.as_ref().is_err_and(Error::is_unconfirmed)
}

/// Adds a header; those of the trace context are understood.
fn set_header(envelope: &mut Envelope, name: &str, value: &str) -> Result<()> {
    let details = &mut envelope.details;
    match name {
        "traceparent" => details.trace = Some(TraceParent::parse(value)?),
        "tracestate" => details.trace_state = Some(value.to_owned()),
        _ => {
            details.headers.insert(name.to_owned(), value.to_owned());
            check_headers(&details.headers)?;
        }
    }
    Ok(())
}

fn check_payload_size(kind: &str, bytes: usize, bytes_max: usize) -> Result<()> {
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "the payload of \"{kind}\" has {bytes} bytes, the limit is {bytes_max}; store the data elsewhere and enqueue where it is"
    )))
}
