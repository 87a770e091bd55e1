//! Keeps house once a second: gives back what dead processes had, keeps the files small, stays visible to others.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use crate::broker::sqlite::committer::Committer;
use crate::broker::sqlite::connection::beside;
use crate::broker::sqlite::declare::restore;
use crate::broker::sqlite::fault::{Fault, FaultKind, Site};
use crate::broker::sqlite::owner::{self, Owner};
use crate::broker::sqlite::shared::Shared;
use crate::sabotage;

/// A WAL beyond this is written back and cut, however long readers hold up the usual way.
const WAL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Free pages that are kept for reuse: 4 MiB.
const FREE_PAGES_MAX: i64 = 1024;

/// Free pages given back to the system each second: 8 MiB, some 10 ms.
const FREED_PAGES_MAX: i64 = 2048;

/// What housekeeping needs.
pub(super) struct Keeper {
    site: Arc<Site>,
    locks: PathBuf,
    owner: Owner,
    was_gone: bool,
}

impl Keeper {
    pub(super) fn new(site: Arc<Site>, locks: PathBuf, owner: Owner) -> Self {
        Self { site, locks, owner, was_gone: false }
    }

    /// Does what is to be done once a second.
    pub(super) fn beat(&mut self, committer: &mut Committer, shared: &Shared) {
        shared.leads().iter().for_each(|lead| lead.check());
        let kept = self.keep(committer, shared);
        let is_gone = kept.as_ref().is_err_and(|fault| fault.kind == FaultKind::Gone);
        if let Err(fault) = kept
            && !(is_gone && self.was_gone)
        {
            tracing::error!("{}", self.site.error(&fault));
        }
        self.was_gone = is_gone;
    }

    /// Gives back all that this process still has, and closes the file.
    pub(super) fn end(self, mut committer: Committer) {
        let owner = self.owner.id;
        let retired = committer.transact(true, |session| owner::retire(session, owner));
        sabotage::fail_point("stop.retired");
        // Folds the WAL into the database; a reader in another process may hold that up, and then does it itself.
        let _ = committer.session.conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        sabotage::fail_point("stop.folded");
        drop(committer);
        if retired.is_ok() {
            self.owner.remove();
        }
    }

    fn keep(&mut self, committer: &mut Committer, shared: &Shared) -> Result<(), Fault> {
        let owners = owner::known(&committer.session)?;
        self.stay_visible(committer, shared, &owners)?;
        for id in owners.into_iter().filter(|id| *id != self.owner.id) {
            self.bury(committer, id)?;
        }
        self.bound_wal(committer)?;
        free_pages(committer)
    }

    /// Becomes a new owner when others cannot see any more that this one lives; they may have given back its claims.
    fn stay_visible(&mut self, committer: &mut Committer, shared: &Shared, owners: &[i64]) -> Result<(), Fault> {
        if self.owner.is_visible() && owners.contains(&self.owner.id) {
            return Ok(());
        }
        let owner = Owner::create(&self.locks)?;
        committer.session.owner = owner.id;
        committer.transact(true, |session| {
            owner::register(session)?;
            restore(session)
        })?;
        self.owner = owner;
        // Under the old name they may have been told that there is nothing.
        shared.consumers().iter().for_each(|held| held.wake());
        Ok(())
    }

    /// Gives back what an owner had, if it is dead.
    fn bury(&self, committer: &mut Committer, id: i64) -> Result<(), Fault> {
        let Some(lock) = owner::lock_dead(&self.locks, id)? else { return Ok(()) };
        sabotage::fail_point("bury.locked");
        let count = committer.transact(true, |session| owner::retire(session, id))?;
        lock.remove();
        if count > 0 {
            tracing::warn!(count, "gave back the jobs of a process that died");
        }
        Ok(())
    }

    fn bound_wal(&self, committer: &Committer) -> Result<(), Fault> {
        let bytes = fs::metadata(beside(&self.site.path, "-wal")).map_or(0, |metadata| metadata.len());
        if bytes > WAL_BYTES_MAX {
            committer.session.conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?;
        }
        Ok(())
    }
}

fn free_pages(committer: &mut Committer) -> Result<(), Fault> {
    let free: i64 = committer.session.conn.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
    if free <= FREE_PAGES_MAX {
        return Ok(());
    }
    let count = (free - FREE_PAGES_MAX).min(FREED_PAGES_MAX);
    committer
        .transact(false, |session| Ok(session.conn.execute_batch(&format!("PRAGMA incremental_vacuum({count})"))?))
}
