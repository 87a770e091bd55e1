//! Plain completions, in batches: the row of a job that is done is deleted, and nothing else.
//!
//! They are most of what a worker settles, and as small as a job can be: an operation and a statement for each would cost
//! more than the deletion.

use rusqlite::{CachedStatement, Connection};
use tokio::sync::oneshot;

use crate::broker::sqlite::claim::Token;
use crate::broker::sqlite::fault::Fault;
use crate::broker::sqlite::op::{Manner, Op};
use crate::broker::sqlite::session::Session;
use crate::sabotage;

const DELETE: &str = "DELETE FROM jobs WHERE seq = ?1 AND owner = ?2 AND claim = ?3";

/// One completed job, and who waits to hear whether its row was still ours.
pub(super) struct Completion {
    pub(super) token: Token,
    pub(super) answer: oneshot::Sender<Result<bool, Fault>>,
}

/// Completions that are committed together.
pub(super) struct Completions {
    all: Vec<Completion>,
    were_ours: Vec<bool>,
}

impl Completions {
    pub(super) fn new(all: Vec<Completion>) -> Self {
        Self { were_ours: Vec::with_capacity(all.len()), all }
    }
}

impl Op for Completions {
    fn manner(&self) -> Manner {
        Manner::Lazy
    }

    fn apply(&mut self, session: &mut Session) -> Result<(), Fault> {
        self.were_ours.clear();
        let mut deletion = Deletion::new(&session.conn, session.owner)?;
        for completion in &self.all {
            self.were_ours.push(deletion.delete(completion.token)?);
        }
        Ok(())
    }

    fn answer(self: Box<Self>, outcome: Result<(), Fault>) {
        match outcome {
            // Whoever stopped waiting does not want to know.
            Ok(()) => self.all.into_iter().zip(self.were_ours).for_each(|(completion, was_ours)| {
                let _ = completion.answer.send(Ok(was_ours));
            }),
            Err(fault) => self.all.into_iter().for_each(|completion| {
                let _ = completion.answer.send(Err(fault.clone()));
            }),
        }
    }
}

/// Deletes claimed rows of one owner.
pub(super) struct Deletion<'a>(CachedStatement<'a>);

impl<'a> Deletion<'a> {
    pub(super) fn new(conn: &'a Connection, owner: i64) -> Result<Self, Fault> {
        let mut statement = conn.prepare_cached(&sabotage::fence(DELETE))?;
        statement.raw_bind_parameter(2, owner)?;
        Ok(Self(statement))
    }

    /// Says whether the row was still ours.
    pub(super) fn delete(&mut self, token: Token) -> Result<bool, Fault> {
        self.0.raw_bind_parameter(1, token.seq)?;
        self.0.raw_bind_parameter(3, token.claim)?;
        let count = self.0.raw_execute()?;
        sabotage::written("done");
        Ok(count == 1)
    }
}
