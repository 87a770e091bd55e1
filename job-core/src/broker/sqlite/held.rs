//! The rows that a consumer has claimed and not handed out, and how many those should be.
//!
//! Short jobs want many, so that few commits serve them; long jobs few, as whatever is held here cannot run elsewhere.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::broker::Window;
use crate::broker::sqlite::claim::{Claimed, Token, claim, release};
use crate::broker::sqlite::fault::Fault;
use crate::broker::sqlite::op::{Manner, Message};
use crate::broker::sqlite::port::Port;
use crate::broker::sqlite::row::Row;
use crate::broker::sqlite::run::{Run, Runs};
use crate::clock::Clock;

/// Jobs claimed per slot before anything is known of how long they take, those that run counted.
const AHEAD_PER_SLOT_MIN: usize = 2;

/// Jobs claimed per slot at the most.
const AHEAD_PER_SLOT_MAX: usize = 10;

/// Jobs claimed by one consumer at the most, however many slots it has; and by slots alone if those are more.
const AHEAD_MAX: usize = 2000;

/// What a consumer shares with the thread that writes.
#[derive(Debug)]
pub(super) struct Held {
    /// The number of the queue.
    pub(super) queue: i64,
    slots: usize,
    /// Jobs claimed while runs are long, or nothing is known of them; those that run counted.
    ahead_min: usize,
    /// Jobs claimed while runs are short.
    ahead_max: usize,
    clock: Clock,
    port: Port,
    state: Mutex<State>,
    arrived: Notify,
    waiting: AtomicUsize,
}

#[derive(Debug)]
struct State {
    rows: VecDeque<(i64, Row)>,
    runs: Runs,
    ahead: usize,
    is_claiming: bool,
    /// The latest claim found less than it wanted, and nobody has woken us since.
    is_drained: bool,
    is_closed: bool,
    fault: Option<Fault>,
}

/// A row that is handed out.
pub(super) struct Taken {
    pub(super) token: Token,
    pub(super) row: Row,
    pub(super) run: Run,
}

impl Held {
    pub(super) fn new(queue: i64, window: Window, clock: Clock, port: Port) -> Arc<Self> {
        let slots = window.slots.max(1);
        let (ahead_min, ahead_max) = if window.claims_ahead {
            let least = slots * AHEAD_PER_SLOT_MIN;
            (least, (slots * AHEAD_PER_SLOT_MAX).min(AHEAD_MAX).max(least))
        } else {
            (slots, slots)
        };
        let state = State {
            rows: VecDeque::new(),
            runs: Runs::default(),
            ahead: ahead_min,
            is_claiming: false,
            is_drained: false,
            is_closed: false,
            fault: None,
        };
        let (arrived, waiting) = (Notify::new(), AtomicUsize::new(0));
        let state = Mutex::new(state);
        Arc::new(Self { queue, slots, ahead_min, ahead_max, clock, port, state, arrived, waiting })
    }

    /// Waits until a row is held; `false` when the consumer is closed.
    pub(super) async fn wait(self: &Arc<Self>) -> Result<bool, Fault> {
        let mut waiter = None;
        loop {
            {
                let mut state = self.lock();
                if !state.rows.is_empty() {
                    return Ok(true);
                }
                if let Some(fault) = state.fault.take() {
                    return Err(fault);
                }
                if state.is_closed {
                    return Ok(false);
                }
                self.refill(&mut state);
            }
            // Counted before the thread that writes looks around, or it would not look often enough.
            if waiter.is_none() {
                waiter = Some(Waiter::new(self));
                self.port.send(Message::Nudge);
            }
            self.arrived.notified().await;
        }
    }

    /// Hands out at most `max` rows.
    pub(super) fn take(self: &Arc<Self>, max: usize) -> Vec<Taken> {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        let count = max.min(state.rows.len());
        let rows: Vec<_> = state.rows.drain(..count).collect();
        let runs = state.runs.begin(count, now, self.port.running());
        self.refill(&mut state);
        drop(state);
        let taken = |((claim, row), run): ((i64, Row), Run)| Taken { token: Token { seq: row.seq, claim }, row, run };
        rows.into_iter().zip(runs).map(taken).collect()
    }

    /// Learns that the queue may have something.
    pub(super) fn wake(self: &Arc<Self>) {
        let mut state = self.lock();
        state.is_drained = false;
        if self.is_awaited() {
            // Whoever waits would be woken only to ask for this, and sleep again until it arrives.
            self.refill(&mut state);
        }
        if !state.is_claiming {
            self.arrived.notify_one();
        }
    }

    /// True while somebody waits for a row.
    pub(super) fn is_awaited(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// True while more is held than long jobs should find.
    pub(super) fn is_far_ahead(&self) -> bool {
        let state = self.lock();
        !state.rows.is_empty() && state.total() > self.ahead_min
    }

    /// Gives back what is held beyond the minimum when a run takes long.
    pub(super) fn check_runs(&self) {
        let mut state = self.lock();
        if state.runs.is_long(self.clock.monotonic()) {
            state.ahead = self.ahead_min;
            let excess = state.total().saturating_sub(state.ahead).min(state.rows.len());
            let kept = state.rows.len() - excess;
            let excess = state.rows.split_off(kept);
            drop(state);
            self.release(excess);
        }
    }

    /// Stops claiming, and returns what is held.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        let rows = std::mem::take(&mut state.rows);
        drop(state);
        self.release(rows);
        self.arrived.notify_one();
    }

    /// Claims more, in the background, once a good part of what should be held is missing.
    fn refill(self: &Arc<Self>, state: &mut State) {
        let missing = state.ahead.saturating_sub(state.total());
        let (wanted, least) = match state.rows.is_empty() {
            // Whoever asks has free slots, whatever runs beyond them.
            true => (missing.max(self.slots), 0),
            false => (missing, (state.ahead / 4).max(1)),
        };
        if state.is_claiming || state.is_drained || state.is_closed || wanted < least {
            return;
        }
        state.is_claiming = true;
        let queue = self.queue;
        let held = Arc::clone(self);
        self.port.start(
            Manner::Swift,
            move |session| claim(session, queue, wanted),
            move |claimed| held.arrive(claimed, wanted),
        );
    }

    /// Takes in what a claim brought, on the thread that writes.
    fn arrive(&self, claimed: Result<Claimed, Fault>, wanted: usize) {
        let mut state = self.lock();
        state.is_claiming = false;
        match claimed {
            Err(fault) => state.fault = Some(fault),
            Ok(Claimed { claim, rows }) => {
                let is_full = rows.len() >= wanted;
                // A wake-up that came while the claim was under way is not lost: its commit woke us after this one.
                state.is_drained = !is_full;
                self.adapt(&mut state, is_full);
                state.rows.extend(rows.into_iter().map(|row| (claim, row)));
            }
        }
        if state.is_closed {
            let rows = std::mem::take(&mut state.rows);
            drop(state);
            self.release(rows);
        }
        self.arrived.notify_one();
    }

    fn adapt(&self, state: &mut State, is_full: bool) {
        if state.runs.is_long(self.clock.monotonic()) {
            state.ahead = self.ahead_min;
        } else if is_full {
            state.ahead = (state.ahead * 2).min(self.ahead_max);
        }
        state.runs.forget_finished();
    }

    fn release(&self, rows: VecDeque<(i64, Row)>) {
        if rows.is_empty() {
            return;
        }
        let tokens: Vec<Token> = rows.iter().map(|(claim, row)| Token { seq: row.seq, claim: *claim }).collect();
        let queue = self.queue;
        self.port.start(Manner::Swift, move |session| release(session, queue, &tokens), |_| ());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no code panics while it holds the rows")
    }
}

impl State {
    fn total(&self) -> usize {
        self.rows.len() + self.runs.count()
    }
}

struct Waiter<'a>(&'a Held);

impl<'a> Waiter<'a> {
    fn new(held: &'a Held) -> Self {
        held.waiting.fetch_add(1, Ordering::Relaxed);
        Self(held)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
