//! Commits operations in groups: all of a group become durable with one flush, and one that fails fails alone.

use std::sync::Arc;
use std::time::Duration;

use crate::broker::sqlite::connection::{self, retry_busy};
use crate::broker::sqlite::fault::{Fault, FaultKind, Site};
use crate::broker::sqlite::lock::{Identity, identity_of};
use crate::broker::sqlite::op::Op;
use crate::broker::sqlite::session::{Effects, Session};
use crate::sabotage::{self, Mutant};

/// How long work that can be tried again waits for another process's lock.
const HURRY_MAX: Duration = Duration::from_millis(100);

/// The session and its transactions.
pub(super) struct Committer {
    pub(super) session: Session,
    site: Arc<Site>,
    pages_max: Option<u32>,
    identity: Option<Identity>,
    is_full: bool,
    is_bounded: bool,
    must_reopen: bool,
    damage: Option<Fault>,
    busy_timeout: Duration,
    /// Operations that wait until the file can be written again; as many as there are consumers and runs.
    parked: Vec<Box<dyn Op>>,
    committed: Effects,
}

impl Committer {
    pub(super) fn new(session: Session, site: Arc<Site>, pages_max: Option<u32>) -> Self {
        let identity = identity_of(&site.path);
        Self {
            session,
            busy_timeout: site.busy_timeout,
            site,
            pages_max,
            identity,
            is_full: true,
            is_bounded: false,
            must_reopen: false,
            damage: None,
            parked: Vec::new(),
            committed: Effects::default(),
        }
    }

    /// Runs operations and answers them.
    pub(super) fn run(&mut self, mut ops: Vec<Box<dyn Op>>) {
        if ops.is_empty() {
            return;
        }
        let is_full = ops.iter().any(|op| op.manner().is_full());
        // Only what adds jobs is bounded: what takes them away needs some space too.
        let is_bounded = ops.iter().any(|op| op.manner().is_publish());
        if let Err(fault) = self.set_bound(is_bounded) {
            return ops.into_iter().for_each(|op| self.fail(op, &fault));
        }
        let outcome = self.transact(is_full, |session| ops.iter_mut().try_for_each(|op| op.apply(session)));
        match outcome {
            Ok(()) => ops.into_iter().for_each(|op| op.answer(Ok(()))),
            // One of them is to blame, and nobody knows which.
            Err(fault) if ops.len() > 1 && matches!(fault.kind, FaultKind::Statement | FaultKind::Full) => {
                ops.into_iter().for_each(|op| self.run(vec![op]));
            }
            Err(fault) => ops.into_iter().for_each(|op| self.fail(op, &fault)),
        }
    }

    /// Runs again what could not be written before.
    pub(super) fn run_parked(&mut self) {
        let parked = std::mem::take(&mut self.parked);
        self.run(parked);
    }

    /// Does work that can be tried again later: it must not let those wait who only wait once.
    pub(super) fn hurry(&mut self, work: impl FnOnce(&mut Self)) {
        self.busy_timeout = HURRY_MAX.min(self.site.busy_timeout);
        work(self);
        self.busy_timeout = self.site.busy_timeout;
    }

    /// Fails what could not be written, as there will be no other attempt.
    pub(super) fn drop_parked(&mut self) {
        self.parked.clear();
    }

    /// Returns what became visible since the last call.
    pub(super) fn take_effects(&mut self) -> Effects {
        std::mem::take(&mut self.committed)
    }

    /// True once the file turned out to be damaged.
    pub(super) fn is_damaged(&self) -> bool {
        self.damage.is_some()
    }

    /// Does work in a transaction of its own.
    pub(super) fn transact<T>(
        &mut self,
        is_full: bool,
        work: impl FnOnce(&mut Session) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let done = self.try_transact(is_full, work);
        match &done {
            Ok(_) => self.committed.append(&mut self.session.effects),
            Err(fault) => self.undo(fault),
        }
        done
    }

    fn try_transact<T>(
        &mut self,
        is_full: bool,
        work: impl FnOnce(&mut Session) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.check_file()?;
        self.set_synchronous(is_full)?;
        let conn = &self.session.conn;
        retry_busy(self.busy_timeout, || Ok(conn.prepare_cached(begin())?.execute([])?))?;
        sabotage::begun();
        let value = work(&mut self.session)?;
        let commit = || self.session.conn.prepare_cached("COMMIT")?.execute([]);
        commit().map_err(|error| Fault::from(error).at_commit())?;
        sabotage::committed();
        Ok(value)
    }

    /// Refuses to write a file that is damaged, or that is not there any more.
    fn check_file(&mut self) -> Result<(), Fault> {
        if let Some(fault) = &self.damage {
            return Err(fault.clone());
        }
        if self.identity.is_none() || identity_of(&self.site.path) != self.identity {
            return Err(Fault::new(FaultKind::Gone, ""));
        }
        if self.must_reopen {
            self.session.conn = connection::open(&self.site)?;
            self.is_full = true;
            self.is_bounded = false;
            self.must_reopen = false;
        }
        Ok(())
    }

    /// Sets how far a commit goes; impossible inside a transaction.
    fn set_synchronous(&mut self, is_full: bool) -> Result<(), Fault> {
        if self.is_full != is_full {
            let level = if is_full { "FULL" } else { "NORMAL" };
            self.session.conn.execute_batch(&format!("PRAGMA synchronous = {level}"))?;
            self.is_full = is_full;
        }
        Ok(())
    }

    /// Sets how large the database may become.
    fn set_bound(&mut self, is_bounded: bool) -> Result<(), Fault> {
        if let Some(pages) = self.pages_max.filter(|_| self.is_bounded != is_bounded) {
            let pages = if is_bounded { pages } else { u32::MAX - 1 };
            self.session.conn.execute_batch(&format!("PRAGMA max_page_count = {pages}"))?;
            self.is_bounded = is_bounded;
        }
        Ok(())
    }

    fn undo(&mut self, fault: &Fault) {
        if !self.session.conn.is_autocommit() {
            // What cannot be rolled back is lost with the connection.
            self.must_reopen |= self.session.conn.execute_batch("ROLLBACK").is_err();
        }
        self.session.effects = Effects::default();
        self.session.catalog.clear();
        // After a failed flush nobody knows what the system's cache still tells: begin anew from the file.
        self.must_reopen |= matches!(fault.kind, FaultKind::Io | FaultKind::Unknown);
        if fault.is_damage() && self.damage.is_none() {
            tracing::error!(path = %self.site.path.display(), ?fault, "the database is damaged, nothing is written any more");
            self.damage = Some(fault.clone());
        }
    }

    fn fail(&mut self, op: Box<dyn Op>, fault: &Fault) {
        if !op.manner().is_publish() && fault.is_passing() {
            self.parked.push(op);
        } else {
            op.answer(Err(fault.clone()));
        }
    }
}

/// Takes the lock at once: a transaction that read first could not be let to write, and would fail in place of waiting.
fn begin() -> &'static str {
    if sabotage::is_on(Mutant::DeferredBegin) { "BEGIN DEFERRED" } else { "BEGIN IMMEDIATE" }
}
