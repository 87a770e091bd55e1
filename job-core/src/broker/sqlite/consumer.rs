//! Hands out what was claimed from one queue, and settles it.

use std::sync::Arc;

use crate::broker::sqlite::claim::Token;
use crate::broker::sqlite::fault::{Fault, FaultKind};
use crate::broker::sqlite::held::Held;
use crate::broker::sqlite::op::Manner;
use crate::broker::sqlite::outcome::{Place, Settled, record};
use crate::broker::sqlite::port::Port;
use crate::broker::sqlite::row::Row;
use crate::broker::sqlite::run::Run;
use crate::broker::{BoxFuture, Consumer, Delivery, Outcome, Settle};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::name::QueueName;

/// Takes from one queue.
pub(super) struct SqliteConsumer {
    pub(super) held: Arc<Held>,
    pub(super) outlet: Arc<Outlet>,
}

/// Makes deliveries of the rows of one queue.
pub(super) struct Outlet {
    pub(super) queue: QueueName,
    pub(super) queue_number: i64,
    pub(super) clock: Clock,
    pub(super) port: Port,
}

struct SqliteSettle {
    outlet: Arc<Outlet>,
    token: Token,
    /// `None` for what an operator took: that is no run, and its settlement is always durable.
    run: Option<Run>,
}

impl Outlet {
    /// Makes the delivery of a row.
    pub(super) fn delivery(self: &Arc<Self>, token: Token, row: Row, run: Option<Run>) -> Delivery {
        let redeliveries = row.redeliveries;
        let (envelope, defect) = row.decode();
        let settle = Box::new(SqliteSettle { outlet: Arc::clone(self), token, run });
        Delivery { envelope, queue: self.queue.clone(), redeliveries, defect, settle }
    }

    fn error(&self, fault: &Fault) -> Error {
        self.port.site.error(fault)
    }
}

impl Consumer for SqliteConsumer {
    fn ready(&mut self) -> BoxFuture<'_, Result<bool>> {
        Box::pin(async { self.held.wait().await.map_err(|fault| self.outlet.error(&fault)) })
    }

    fn next_many(&mut self, max: usize) -> BoxFuture<'_, Result<Vec<Delivery>>> {
        Box::pin(async move {
            if !self.ready().await? {
                return Ok(Vec::new());
            }
            // Nothing waits between taking and returning, so a cancelled call has lost nothing.
            let taken = self.held.take(max.max(1));
            Ok(taken.into_iter().map(|t| self.outlet.delivery(t.token, t.row, Some(t.run))).collect())
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        let port = self.outlet.port.clone();
        drop(self);
        Box::pin(async move {
            // A claim under way is answered before the first of these, and what it brought is given back before the
            // second. A broker that is closed has given back all by itself.
            for _ in 0..2 {
                let _ = port.call(Manner::Swift, |_| Ok(())).await;
            }
        })
    }
}

impl Drop for SqliteConsumer {
    fn drop(&mut self) {
        self.held.close();
    }
}

impl Settle for SqliteSettle {
    fn settle(self: Box<Self>, outcome: Outcome) -> BoxFuture<'static, Result<()>> {
        let Self { outlet, token, run } = *self;
        let is_run = run.is_some();
        if let Some(run) = run {
            run.end(outlet.clock.monotonic());
        }
        // Handed over here and not in the future: a caller that never polls has settled all the same.
        if is_run && matches!(&outcome, Outcome::Done { then } if then.is_empty()) {
            let completed = outlet.port.complete(token);
            return Box::pin(async move {
                let settled = completed.await.map(|was_ours| if was_ours { Settled::Recorded } else { Settled::Lost });
                outlet.conclude(settled)
            });
        }
        let place = Place { queue: outlet.queue.clone(), queue_number: outlet.queue_number, token };
        let settled = outlet.port.call(manner(&outcome, is_run), move |session| record(session, &place, &outcome));
        Box::pin(async move { outlet.conclude(settled.await) })
    }
}

impl Outlet {
    fn conclude(&self, settled: Result<Settled, Fault>) -> Result<()> {
        let queue = &self.queue;
        match settled {
            Ok(Settled::Recorded) => Ok(()),
            Ok(Settled::Refused(error)) => Err(error),
            Ok(Settled::Lost) => Err(Error::lost(format!("a job of queue \"{queue}\" was given to somebody else"))),
            // A broker that ends gives everything back.
            Err(fault) if fault.kind == FaultKind::Closed => {
                Err(Error::lost(format!("a job of queue \"{queue}\" was given back when the broker was closed")))
            }
            Err(fault) => Err(self.error(&fault)),
        }
    }
}

fn manner(outcome: &Outcome, is_run: bool) -> Manner {
    match outcome {
        Outcome::Release if is_run => Manner::Swift,
        Outcome::Release | Outcome::Done { .. } | Outcome::Later { .. } | Outcome::Dead { .. } => Manner::Settle,
    }
}
