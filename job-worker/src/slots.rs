//! The slots in which jobs run: a total, a limit per queue, and a weighted share when several queues want more.
//!
//! A freed slot goes to the waiting queue that was served least for its weight, so that none starves.

use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::oneshot;

/// All slots of a worker.
pub(crate) struct Slots {
    state: Mutex<State>,
}

struct State {
    free: usize,
    queues: Vec<Share>,
    /// What the queue served last had been served before: a queue that was idle begins there.
    virtual_time: f64,
}

struct Share {
    weight: f64,
    limit: usize,
    running: usize,
    /// Slots granted, divided by the weight: virtual time, as in weighted fair queueing.
    served: f64,
    waiters: Vec<oneshot::Sender<Slot>>,
}

/// One slot, given back when it is dropped.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    queue: usize,
}

impl Slots {
    /// Makes `total` slots for queues with these weights and limits of their own.
    pub(crate) fn new(total: usize, queues: &[(u32, Option<usize>)]) -> Arc<Self> {
        let share = |(weight, limit): &(u32, Option<usize>)| Share {
            weight: f64::from(*weight),
            limit: limit.unwrap_or(total).min(total),
            running: 0,
            served: 0.0,
            waiters: Vec::new(),
        };
        let queues = queues.iter().map(share).collect();
        Arc::new(Self { state: Mutex::new(State { free: total, queues, virtual_time: 0.0 }) })
    }

    /// Waits for a slot, and takes up to `max` if more are free.
    ///
    /// # Cancel safety
    /// Cancelling takes no slot.
    pub(crate) async fn acquire(self: &Arc<Self>, queue: usize, max: usize) -> Vec<Slot> {
        let waiting = {
            let mut state = self.lock();
            let count = state.available(queue).min(max);
            if count > 0 {
                state.take(queue, count);
                return (0..count).map(|_| self.slot(queue)).collect();
            }
            state.wait(queue)
        };
        // The sender is only dropped unused together with the slots.
        waiting.await.into_iter().collect()
    }

    fn release(self: &Arc<Self>, queue: usize) {
        let mut next = self.lock().release(queue);
        while let Some((queue, waiter)) = next {
            // A waiter that has gone hands its slot back: dropping it serves the next one.
            drop(waiter.send(self.slot(queue)));
            next = self.lock().grant();
        }
    }

    fn slot(self: &Arc<Self>, queue: usize) -> Slot {
        Slot { slots: Arc::clone(self), queue }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the slots")
    }
}

impl State {
    fn available(&self, queue: usize) -> usize {
        let share = &self.queues[queue];
        self.free.min(share.limit - share.running.min(share.limit))
    }

    fn take(&mut self, queue: usize, count: usize) {
        self.free -= count;
        let share = &mut self.queues[queue];
        share.running += count;
        #[allow(clippy::cast_precision_loss, reason = "slots are few")]
        let served = count as f64 / share.weight;
        self.virtual_time = self.virtual_time.max(share.served);
        share.served += served;
    }

    /// Frees a slot, and takes it for the waiter to serve next.
    fn release(&mut self, queue: usize) -> Option<(usize, oneshot::Sender<Slot>)> {
        self.free += 1;
        self.queues[queue].running -= 1;
        self.grant()
    }

    /// Takes a slot for the waiter to serve next.
    fn grant(&mut self) -> Option<(usize, oneshot::Sender<Slot>)> {
        let (queue, waiter) = self.pop_next()?;
        self.take(queue, 1);
        Some((queue, waiter))
    }

    fn wait(&mut self, queue: usize) -> oneshot::Receiver<Slot> {
        let (waiter, waiting) = oneshot::channel();
        let share = &mut self.queues[queue];
        // A queue that was idle has no claim on the slots that it left to others.
        share.served = share.served.max(self.virtual_time);
        share.waiters.push(waiter);
        waiting
    }

    /// Removes and returns the waiter to serve next.
    fn pop_next(&mut self) -> Option<(usize, oneshot::Sender<Slot>)> {
        // Serving a waiter that has gone would cost its queue a turn.
        self.queues.iter_mut().for_each(|share| share.waiters.retain(|waiter| !waiter.is_closed()));
        let (queue, _) = self
            .waiting()
            .filter(|(i, _)| self.available(*i) > 0)
            .min_by(|(_, a), (_, b)| a.served.total_cmp(&b.served))?;
        Some((queue, self.queues[queue].waiters.remove(0)))
    }

    fn waiting(&self) -> impl Iterator<Item = (usize, &Share)> {
        self.queues.iter().enumerate().filter(|(_, share)| !share.waiters.is_empty())
    }
}

impl Slot {
    /// Returns which queue's share the slot counts to.
    pub(crate) fn queue(&self) -> usize {
        self.queue
    }

    /// Returns where the slot goes back to.
    pub(crate) fn slots(&self) -> &Arc<Slots> {
        &self.slots
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.release(self.queue);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn take(slots: &Arc<Slots>, queue: usize, max: usize) -> Vec<Slot> {
        match poll(pin!(slots.acquire(queue, max))) {
            Poll::Ready(slots) => slots,
            Poll::Pending => Vec::new(),
        }
    }

    #[test]
    fn total_and_limit_bound_what_is_taken() {
        let slots = Slots::new(5, &[(1, None), (1, Some(2))]);
        let limited = take(&slots, 1, 9);
        assert_eq!(limited.len(), 2);
        assert_eq!(take(&slots, 1, 1).len(), 0);
        let others = take(&slots, 0, 9);
        assert_eq!(others.len(), 3);
        assert_eq!(take(&slots, 0, 1).len(), 0);
        drop((limited, others));
        assert_eq!(take(&slots, 0, 9).len(), 5);
    }

    #[test]
    fn freed_slots_go_by_weight() {
        let slots = Slots::new(1, &[(3, None), (1, None)]);
        let mut served = [0, 0];
        let mut running = take(&slots, 0, 1);
        for _ in 0..400 {
            let mut heavy = pin!(slots.acquire(0, 1));
            let mut light = pin!(slots.acquire(1, 1));
            assert!(poll(heavy.as_mut()).is_pending() && poll(light.as_mut()).is_pending());
            running.clear();
            for future in [heavy.as_mut(), light.as_mut()] {
                if let Poll::Ready(granted) = poll(future) {
                    running.extend(granted);
                }
            }
            served[running[0].queue()] += 1;
        }
        assert_eq!(served, [300, 100]);
    }

    #[test]
    fn a_waiter_that_has_gone_takes_no_slot() {
        let slots = Slots::new(1, &[(1, None)]);
        let running = take(&slots, 0, 1);
        {
            let mut gone = pin!(slots.acquire(0, 1));
            assert!(poll(gone.as_mut()).is_pending());
        }
        drop(running);
        assert_eq!(take(&slots, 0, 1).len(), 1);
    }

    #[test]
    fn a_slot_granted_to_a_waiter_that_then_goes_comes_back() {
        let slots = Slots::new(1, &[(1, None)]);
        let running = take(&slots, 0, 1);
        {
            let mut gone = pin!(slots.acquire(0, 1));
            assert!(poll(gone.as_mut()).is_pending());
            drop(running);
        }
        assert_eq!(take(&slots, 0, 1).len(), 1);
    }
}
