//! Decides which finished deliveries of a channel are acknowledged together, and which alone. Pure: sends nothing.
//!
//! One `multiple` acknowledgement covers every delivery up to its tag, so it costs as much as a single one and may be
//! sent only up to the first that is unfinished. Three parties share the books: the one who takes deliveries issues a
//! [`Mark`] for each, in the order of their tags; whoever finishes one marks it, from any thread, without a lock and
//! without waiting; and one collector turns what is marked into acknowledgements.
//!
//! A tag that a `multiple` names must still be unsettled itself: RabbitMQ goes through all of the channel's deliveries in
//! search of it, and then closes the channel. Hence what was returned by itself is marked as [gone](Mark::gone).
//!
//! The books are in segments that are forgotten once all in them is settled, so that a job of an hour holds up neither
//! the acknowledgements of those behind it nor their memory.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::sabotage::{self, Mutant};

/// Deliveries of one segment.
const SEGMENT: u16 = 512;

/// How long a finished delivery waits for the ones before it. Most come within that time, and are then acknowledged with
/// it at once; a long job holds up nothing for longer.
pub(super) const PATIENCE: Duration = Duration::from_millis(50);

const OPEN: u8 = 0;
const DONE: u8 = 1;
const GONE: u8 = 2;

/// Makes the books of a new channel that holds at most `window` deliveries.
pub(super) fn ack_ring(window: usize) -> (Issuer, Collector) {
    let window = u32::try_from(window).unwrap_or(u32::MAX).max(1);
    // An eighth: the broker has sent the next deliveries long before the last of the window is acknowledged.
    let every = (window / 8).max(1);
    let shared = Arc::new(Shared { every, waiting: AtomicU32::new(0), added: Mutex::default() });
    // Finished ones that wait take a place in the window, too: when they fill it, nothing new comes.
    let held_max = (window / 2).max(1);
    let collector = Collector { shared: Arc::clone(&shared), segments: VecDeque::new(), held_max, held_since: None };
    (Issuer { shared, latest: None }, collector)
}

/// Opens the books for each delivery.
#[derive(Debug)]
pub(super) struct Issuer {
    shared: Arc<Shared>,
    latest: Option<Arc<Segment>>,
}

impl Issuer {
    /// Returns the mark of a delivery that has just arrived. Tags grow by one.
    pub(super) fn issue(&mut self, tag: u64) -> Mark {
        let segment = match self.latest.take().filter(|segment| tag < segment.first + u64::from(SEGMENT)) {
            Some(segment) => segment,
            None => self.shared.add_segment(tag),
        };
        let index = u16::try_from(tag - segment.first).expect("the tag lies within its segment");
        self.latest = Some(Arc::clone(&segment));
        Mark { segment, index }
    }
}

/// The right to settle one delivery. Dropping it leaves the delivery open until its channel ends.
#[derive(Debug)]
pub(super) struct Mark {
    segment: Arc<Segment>,
    index: u16,
}

/// What the collector has to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nudge {
    /// Nothing: it knows that something waits.
    No,
    /// Something waits for it now; it may take a moment, for more to come.
    First,
    /// As much waits as is worth an acknowledgement at once.
    Full,
}

impl Mark {
    /// Returns the delivery's tag.
    pub(super) fn tag(&self) -> u64 {
        self.segment.first + u64::from(self.index)
    }

    /// Says that the delivery is to be acknowledged.
    #[must_use = "the collector may have to be woken"]
    pub(super) fn done(self) -> Nudge {
        self.set(DONE)
    }

    /// Says that the delivery was given back by itself: it is not to be acknowledged, and no longer in the way.
    #[must_use = "the collector may have to be woken"]
    pub(super) fn gone(self) -> Nudge {
        self.set(GONE)
    }

    fn set(self, state: u8) -> Nudge {
        let Segment { slots, fresh, shared, .. } = &*self.segment;
        // In this order: who sees the count sees the mark.
        slots[usize::from(self.index)].store(state, Ordering::Release);
        fresh.fetch_add(1, Ordering::AcqRel);
        let waiting = shared.waiting.fetch_add(1, Ordering::AcqRel) + 1;
        if waiting == shared.every {
            Nudge::Full
        } else if waiting == 1 {
            Nudge::First
        } else {
            Nudge::No
        }
    }
}

/// What is to be acknowledged now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Acks {
    /// All up to this one, with `multiple`.
    pub(super) through: Option<u64>,
    /// Each of these, all of them behind `through`.
    pub(super) alone: Vec<u64>,
    /// Something finished waits for those before it; it is due after this time, marked or not.
    pub(super) look_again: Option<Duration>,
}

/// Collects what is finished. There is one of each channel.
#[derive(Debug)]
pub(super) struct Collector {
    shared: Arc<Shared>,
    /// Those with an open delivery, in the order of their tags.
    segments: VecDeque<Page>,
    held_max: u32,
    /// Since when something finished has been waiting behind something open.
    held_since: Option<Instant>,
}

/// What the collector knows of a segment.
#[derive(Debug)]
struct Page {
    segment: Arc<Segment>,
    /// The first that is not settled, as far as is known.
    head: u16,
    /// Finished ones that wait.
    held: u32,
}

impl Collector {
    /// Returns what to acknowledge now. Call it when something is [`Full`](Nudge::Full), a moment after it is
    /// [`First`](Nudge::First), and when [`look_again`](Acks::look_again) has passed.
    pub(super) fn collect(&mut self, now: Instant) -> Acks {
        self.collect_after(PATIENCE, now)
    }

    /// Returns all that can be acknowledged, waiting for nothing: for the end of a channel.
    pub(super) fn flush(&mut self, now: Instant) -> Acks {
        self.collect_after(Duration::ZERO, now)
    }

    fn collect_after(&mut self, patience: Duration, now: Instant) -> Acks {
        // First: what is marked while we look counts for the next time.
        self.shared.waiting.swap(0, Ordering::AcqRel);
        self.segments.extend(self.shared.take_added());
        let mut acks = Acks { through: self.advance(), ..Acks::default() };
        let held: u32 = self.segments.iter_mut().map(Page::count_held).sum();
        if held == 0 {
            self.held_since = None;
            return acks;
        }
        let since = *self.held_since.get_or_insert(now);
        let waited = now.saturating_duration_since(since);
        if waited >= patience || held >= self.held_max {
            self.held_since = None;
            self.segments.retain_mut(|page| page.release(&mut acks.alone));
        } else {
            acks.look_again = Some(patience - waited);
        }
        acks
    }

    /// Goes to the first that is open, and returns the last before it that is to be acknowledged.
    fn advance(&mut self) -> Option<u64> {
        let mut through = None;
        while let Some(page) = self.segments.front_mut() {
            let (is_settled, last) = page.advance();
            through = last.or(through);
            if !is_settled {
                break;
            }
            self.segments.pop_front();
        }
        through
    }
}

impl Page {
    /// Moves the head on; returns whether all is settled, and the last tag that is to be acknowledged.
    fn advance(&mut self) -> (bool, Option<u64>) {
        let mut through = None;
        if sabotage::is_on(Mutant::AckOverGap) {
            let last = (self.head..SEGMENT).rev().find(|index| self.segment.state(*index) == DONE);
            through = last.map(|last| self.segment.first + u64::from(last));
            self.head = last.map_or(self.head, |last| last + 1);
        }
        while self.head < SEGMENT {
            match self.segment.state(self.head) {
                OPEN => return (false, through),
                DONE => through = Some(self.segment.first + u64::from(self.head)),
                _ => {}
            }
            self.head += 1;
        }
        (true, through)
    }

    /// Counts what waits behind the head. Without a new mark it can only have become less, by the head moving on.
    fn count_held(&mut self) -> u32 {
        let is_fresh = self.segment.fresh.swap(0, Ordering::AcqRel) > 0;
        if is_fresh || self.held > 0 {
            let waits = (self.head..SEGMENT).filter(|index| self.segment.state(*index) == DONE).count();
            self.held = u32::try_from(waits).expect("a segment is small");
        }
        self.held
    }

    /// Takes out what waits; returns whether something is left.
    fn release(&mut self, alone: &mut Vec<u64>) -> bool {
        if self.held == 0 {
            return true;
        }
        self.held = 0;
        let mut is_left = false;
        for index in self.head..SEGMENT {
            match self.segment.state(index) {
                DONE => {
                    alone.push(self.segment.first + u64::from(index));
                    self.segment.slots[usize::from(index)].store(GONE, Ordering::Relaxed);
                }
                OPEN => is_left = true,
                _ => {}
            }
        }
        is_left
    }
}

#[derive(Debug)]
struct Shared {
    every: u32,
    /// Marks since the collector last looked.
    waiting: AtomicU32,
    /// Segments that the collector has not seen.
    added: Mutex<Vec<Arc<Segment>>>,
}

impl Shared {
    fn add_segment(self: &Arc<Self>, first: u64) -> Arc<Segment> {
        let slots = (0..SEGMENT).map(|_| AtomicU8::new(OPEN)).collect();
        let segment = Arc::new(Segment { first, slots, fresh: AtomicU32::new(0), shared: Arc::clone(self) });
        self.added.lock().expect("no code panics while it holds the lock").push(Arc::clone(&segment));
        segment
    }

    fn take_added(&self) -> Vec<Page> {
        let added = std::mem::take(&mut *self.added.lock().expect("no code panics while it holds the lock"));
        added.into_iter().map(|segment| Page { segment, head: 0, held: 0 }).collect()
    }
}

/// The state of consecutive tags.
#[derive(Debug)]
struct Segment {
    first: u64,
    slots: Box<[AtomicU8]>,
    /// Marks since the collector last looked.
    fresh: AtomicU32,
    shared: Arc<Shared>,
}

impl Segment {
    fn state(&self, index: u16) -> u8 {
        self.slots[usize::from(index)].load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
