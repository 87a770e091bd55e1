//! The timing wheel that keeps delayed jobs: which slot queue a job waits in, and what those who turn the wheel do.
//!
//! Pure: it takes the time as an argument, in milliseconds since 1970, and touches no broker. [`Geometry::place`] is for
//! whoever delays a job, the rest is for the pump. Nothing here is shared between processes: a slot follows from absolute wall-clock time alone, so that no
//! leader is needed and a restart forgets nothing.
//!
//! - A job waits in a queue that stands for its due time. Level 0 has a queue per second, and each higher level queues
//!   for sixteen times as long. When a queue's turn comes, its jobs move on: to their own queues when they are due, to
//!   a finer level otherwise.
//! - The due time that the job carries is the truth, its slot a hint: a job that is met in the wrong slot is put right.
//! - A message is never published into the queue that is being drained. It would come round again at once, and a drain
//!   until empty would not end before that job is due: a livelock that was seen. It is held back instead.
//!
//! # The geometry, and why it is so
//! Distances count slots of a level, from the slot that is current at a clock. A turn is [`slots`](Geometry) B long.
//! - Jobs are put at distances 1 to H. What level l − 1 does not reach lies in another slot of level l than the current
//!   one only if H ≥ k + 1, k being the ratio of the widths; so each hop leads to a finer level.
//! - A pump looks at the current slot and at R behind it, for what slow producers and slow pumps left there.
//! - Between both lies a guard G, as wide as clocks may differ and a tick may take: or a pump would find there what is
//!   meant for the next turn.
//! - So B ≥ H + R + G + 1: 18 + 6 + 7 + 1 = 32.
//!
//! | level | a slot lasts | jobs due within | all its slots |
//! |---|---|---|---|
//! | 0 | 1 s | 18 s | 32 s |
//! | 1 | 16 s | 4.8 min | 8.5 min |
//! | 2 | 4.3 min | 77 min | 2.3 h |
//! | 3 | 68 min | 20.5 h | 36.4 h |
//!
//! Four levels are 128 queues. A job that is due later waits at the far end of the last one, and goes there again when
//! that turn comes: a hop every 20 hours, 36 for 30 days.
//!
//! The widths and counts are part of the queues' names (`v1`). Other ones are another wheel beside this one.

mod drain;
mod geometry;
mod seat;
#[cfg(test)]
mod tests;
mod turn;

pub(super) use drain::{Drain, Step};
pub(super) use geometry::{Geometry, SlotId, V1};
pub(super) use seat::Seat;
pub(super) use turn::{PEEK, Turn};
