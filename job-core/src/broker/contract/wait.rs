//! Waits that end on a condition, and fail where it does not come about in time.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use crate::clock::Clock;

/// The longest wait for something that must happen; four times as long where the environment has `CI`.
pub const LIVENESS: Duration = Duration::from_secs(5);

/// The pause between two looks at a condition that cannot be awaited.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Returns the bound of a wait for something that must happen.
pub(super) fn liveness() -> Duration {
    if std::env::var_os("CI").is_some() { LIVENESS * 4 } else { LIVENESS }
}

/// Waits for a future that must end.
pub(super) async fn eventually<T>(what: &str, future: impl Future<Output = T>) -> T {
    let limit = liveness();
    match Clock::system().timeout(limit, future).await {
        Some(output) => output,
        None => panic!("{what}: nothing happened within {limit:?}"),
    }
}

/// Waits until looking finds something.
pub(super) async fn eventually_some<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    eventually(what, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            Clock::system().sleep(LOOK_EVERY).await;
        }
    })
    .await
}

/// Polls a future once, so that it has begun to wait; fails when it did not have to.
pub(super) async fn begin_to_wait<F: Future + Unpin>(what: &str, future: &mut F) {
    let is_ready = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_ready())).await;
    assert!(!is_ready, "{what}: ended before there was a reason");
}

/// Polls a future so many times and then drops it; `None` when it had not finished.
pub(super) async fn poll_at_most<T>(polls: u32, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut polled = 0;
    std::future::poll_fn(|cx| {
        polled += 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polled >= polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
