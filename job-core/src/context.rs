//! What a handler is given besides its job: which run this is, the application's state, a client, and the stop signal.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::envelope::Envelope;
use crate::name::{JobId, QueueName};

/// Says that the job `Self` declared the state `S` with `state(S)`; derived, never written by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not declare the state `{S}`",
    label = "this state is not declared",
    note = "add `state({S})` to its #[job(…)]"
)]
pub trait Needs<S> {}

/// One run of the job `J`, as its handler sees it.
pub struct Context<J> {
    parts: Parts,
    job: PhantomData<fn() -> J>,
}

/// What a run is made of, before its type is known.
#[derive(Clone)]
pub struct Parts {
    /// The job's message.
    pub envelope: Arc<Envelope>,
    /// The queue it came from.
    pub queue: QueueName,
    /// How many attempts it has.
    pub max_attempts: u32,
    /// The application's state.
    pub states: States,
    /// The client that the handler gets.
    pub client: Client,
    /// Tells the handler to stop.
    pub cancellation: CancellationToken,
}

impl<J> Context<J> {
    /// Makes the context of a run.
    pub fn new(parts: Parts) -> Self {
        Self { parts, job: PhantomData }
    }

    /// Returns the job's id, the same over all its attempts.
    pub fn id(&self) -> &JobId {
        &self.parts.envelope.id
    }

    /// Returns the number of this run; the first is 1.
    pub fn attempt(&self) -> u32 {
        self.parts.envelope.attempt
    }

    /// Returns how many attempts the job has.
    pub fn max_attempts(&self) -> u32 {
        self.parts.max_attempts
    }

    /// Returns the queue from which the job came.
    pub fn queue(&self) -> &QueueName {
        &self.parts.queue
    }

    /// Returns a user header that was given at the enqueue.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.parts.envelope.details.headers.get(name).map(String::as_str)
    }

    /// Returns the job's message with all its metadata.
    pub fn envelope(&self) -> &Envelope {
        &self.parts.envelope
    }

    /// Returns the cursor that the last `continue_with` gave; `None` in the first run, and where it does not decode as
    /// `C`.
    pub fn cursor<C: DeserializeOwned>(&self) -> Option<C> {
        let cursor = self.parts.envelope.details.cursor.as_ref()?;
        C::deserialize(cursor).ok()
    }

    /// Returns a text that is the same over all attempts of this turn of the job, and differs from every other job's:
    /// hand it to services that take one, so that a second run has no second effect.
    pub fn idempotency_key(&self) -> String {
        let envelope = &self.parts.envelope;
        format!("{}:{}", envelope.id, envelope.sequence)
    }

    /// Returns the application's state of type `S`, which the job declared with `state(S)`.
    pub fn state<S: Any + Send + Sync>(&self) -> &S
    where
        J: Needs<S>,
    {
        self.parts.states.find::<S>().expect("the worker checked at start that each declared state is there")
    }

    /// Returns a client whose jobs get ids derived from this job's: when the handler runs again, it makes the same
    /// children, and the broker or their handlers can tell.
    pub fn client(&self) -> &Client {
        &self.parts.client
    }

    /// Waits until the run should end: its timeout has passed, or the worker's grace is over.
    pub async fn cancelled(&self) {
        self.parts.cancellation.cancelled().await;
    }

    /// True once the run should end; what a blocking handler asks from time to time.
    pub fn is_cancelled(&self) -> bool {
        self.parts.cancellation.is_cancelled()
    }
}

/// The application's state, one value a type; cloning it is cheap.
#[derive(Clone, Default)]
pub struct States(Arc<HashMap<TypeId, Arc<dyn Any + Send + Sync>>>);

/// A state that a job declared.
#[derive(Clone, Copy, Debug)]
pub struct StateNeed {
    /// Its type.
    pub type_id: fn() -> TypeId,
    /// The type's name, for messages to people.
    pub type_name: fn() -> &'static str,
}

impl StateNeed {
    /// Describes the need for the state `S`.
    pub const fn of<S: Any + Send + Sync>() -> Self {
        Self { type_id: TypeId::of::<S>, type_name: type_name::<S> }
    }
}

impl States {
    /// Adds a state, and replaces one of the same type.
    pub fn insert<S: Any + Send + Sync>(&mut self, state: S) {
        let states = Arc::make_mut(&mut self.0);
        states.insert(TypeId::of::<S>(), Arc::new(state));
    }

    /// Returns the state of a type.
    pub fn find<S: Any + Send + Sync>(&self) -> Option<&S> {
        self.0.get(&TypeId::of::<S>())?.downcast_ref()
    }

    /// True when the state is there.
    pub fn provides(&self, need: &StateNeed) -> bool {
        self.0.contains_key(&(need.type_id)())
    }
}
