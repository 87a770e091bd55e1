//! Reads the stream from its first entry on, for as long as the process lives, over every loss of the connection.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;

use crate::broker::amqp::ledger::fence::{self, Begin};
use crate::broker::amqp::ledger::{Log, Packet, Progress};
use crate::broker::amqp::session::{ANSWER_MAX, Session};
use crate::error::{Error, Result};

/// The pause before reading anew, at the most; a random part of it.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Entries that are acknowledged together: that is the credit for the next ones.
const ACK_EVERY: usize = 1000;

/// Reads until the log is closed.
pub(super) async fn read(log: Arc<Log>) {
    let mut progress = log.progress.subscribe();
    let closed = async { progress.wait_for(|progress| progress.is_closed).await.map(drop) };
    let read = async {
        loop {
            if let Err(error) = read_on(&log).await {
                tracing::debug!(target: "job", %error, "the ledger is not read");
            }
            log.clock.sleep(PAUSE_MAX.mul_f64(fastrand::f64())).await;
        }
    };
    tokio::select! {
        _ = closed => {}
        () = read => {}
    }
}

/// Reads for as long as one connection lives.
async fn read_on(log: &Log) -> Result<()> {
    let session = log.link.session(ANSWER_MAX).await?;
    // It begins anew: a stream that somebody deleted and made again counts from 0, too.
    log.progress.send_if_modified(|progress| progress.offset.take().is_some());
    log.book().begin_again();
    let (_channel, consumer) = fence::consume(&session, &log.names, log.size, Begin::First, &log.clock).await?;
    let mut consumer = pin!(consumer);
    loop {
        let first = tokio::select! {
            biased;
            first = consumer.next() => first,
            () = session.lost() => return Ok(()),
        };
        let mut latest = first.ok_or_else(ended)?.map_err(|error| ended().caused_by(error))?;
        let mut progress = note(log, &latest, *log.progress.borrow());
        for _ in 1..ACK_EVERY {
            let Some(Some(Ok(next))) = consumer.next().now_or_never() else { break };
            progress = note(log, &next, progress);
            latest = next;
        }
        acknowledge(&session, &latest).await?;
        log.progress.send_modify(|known| *known = Progress { is_closed: known.is_closed, ..progress });
    }
}

/// Writes into the book what came, and returns how far that is.
fn note(log: &Log, delivery: &Delivery, mut progress: Progress) -> Progress {
    let mut book = log.book();
    match Packet::decode(&delivery.properties, &delivery.data) {
        Some(Packet::Entries(entries)) => {
            for entry in entries {
                progress.change += u64::from(book.merge(entry));
            }
        }
        Some(Packet::SnapshotEnd) => book.end_snapshot(),
        Some(Packet::Mark) | None => {}
    }
    progress.own = progress.own.max(log.writer.own(&delivery.properties).unwrap_or(0));
    progress.offset = fence::offset(delivery).or(progress.offset);
    progress
}

async fn acknowledge(session: &Session, delivery: &Delivery) -> Result<()> {
    let all = BasicAckOptions { multiple: true };
    session.answer("go on reading the ledger", delivery.acker.ack(all)).await.map(drop)
}

fn ended() -> Error {
    Error::unavailable("RabbitMQ ended the reading of the ledger")
}
