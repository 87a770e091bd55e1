//! The broker's own thread: all connections, and the tasks that keep them, live on it.
//!
//! A job that blocks its thread, or an executor that is busy, never costs a heartbeat or delays an acknowledgement.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// One thread that runs tasks until it is stopped or dropped.
#[derive(Debug)]
pub(super) struct Runtime {
    handle: Handle,
    life: Mutex<Option<Life>>,
}

#[derive(Debug)]
struct Life {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Runtime {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn start() -> Result<Self> {
        let failed = |error| Error::unavailable("cannot start the thread of the RabbitMQ broker").caused_by(error);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let run = move || {
            let _ = runtime.block_on(stopped);
            // Not dropped: that would wait for whatever blocks in it, such as the look-up of a host.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("job-amqp".into()).spawn(run).map_err(failed)?;
        Ok(Self { handle, life: Mutex::new(Some(Life { stop, thread })) })
    }

    /// Returns the way to start tasks on it. Who holds it does not keep the thread alive.
    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the thread once a last task has ended, without waiting for it.
    pub(super) fn stop_after(&self, last: impl Future<Output = ()> + Send + 'static) {
        let Some(Life { stop, .. }) = self.take_life() else { return };
        self.handle.spawn(async move {
            last.await;
            let _ = stop.send(());
        });
    }

    /// Ends the thread and drops its tasks where they stand, connections included.
    pub(super) fn stop(&self) {
        let Some(Life { stop, thread }) = self.take_life() else { return };
        // It has ended already when nobody receives this.
        let _ = stop.send(());
        if thread.thread().id() != std::thread::current().id() {
            // At most one poll of a task away; a panic of it was reported by its hook.
            let _ = thread.join();
        }
    }

    fn take_life(&self) -> Option<Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stopped_runtime_drops_its_tasks() {
        let runtime = Runtime::start().unwrap();
        assert_eq!(
            runtime.handle().spawn(async { std::thread::current().name().map(str::to_owned) }).await.unwrap().unwrap(),
            "job-amqp"
        );
        let (held, released) = oneshot::channel::<()>();
        runtime.handle().spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        runtime.stop();
        assert!(released.await.is_err());
        assert!(runtime.handle().spawn(async {}).await.unwrap_err().is_cancelled());
    }

    #[tokio::test]
    async fn a_last_task_is_finished() {
        let runtime = Runtime::start().unwrap();
        let (tell, told) = oneshot::channel();
        runtime.stop_after(async {
            tokio::task::yield_now().await;
            tell.send(()).unwrap();
        });
        drop(runtime);
        told.await.unwrap();
    }
}
