//! Who waits until the queue of one channel has all that the channel acknowledges.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// Those who wait.
#[derive(Debug, Default)]
pub(super) struct Flushes(Mutex<Waiting>);

/// Those whom one flush answers.
#[derive(Debug, Default)]
pub(super) struct Waiting(Vec<oneshot::Sender<()>>);

impl Flushes {
    /// Asks for a flush; the future ends with it, or when there will be none.
    pub(super) fn ask(&self) -> impl Future<Output = ()> + Send + 'static {
        let (answer, answered) = oneshot::channel();
        self.lock().0.push(answer);
        async move {
            let _ = answered.await;
        }
    }

    /// Takes those who wait.
    pub(super) fn take(&self) -> Waiting {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn answer(self) {
        for waiting in self.0 {
            // Who asked may have gone.
            let _ = waiting.send(());
        }
    }
}
