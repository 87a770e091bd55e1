//! The faults themselves, for test builds: `JOB_FAILPOINT=name:count` and `JOB_MUTANT=name` choose them.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::sabotage::Mutant;

/// Where this process dies, and at which passage.
struct Fuse {
    name: String,
    left: AtomicU32,
}

thread_local! {
    /// What the open transaction of this thread has written.
    static WRITTEN: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

/// Says whether a mutant is on.
pub fn is_on(mutant: Mutant) -> bool {
    static CHOSEN: OnceLock<Option<Mutant>> = OnceLock::new();
    *CHOSEN.get_or_init(chosen) == Some(mutant)
}

/// Dies here if the environment says so: at once, without destructors and without flushing anything. The signal is
/// `SIGABRT`; to the files it makes no difference that it is not `SIGKILL`.
pub fn fail_point(name: &str) {
    if let Some(fuse) = fuse()
        && fuse.name == name
        && fuse.left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        std::process::abort();
    }
}

/// Forgets what an earlier transaction of this thread wrote and rolled back.
pub fn begun() {
    WRITTEN.with_borrow_mut(Vec::clear);
}

/// Passes the fail point `STEP.written`: the open transaction has written a step and not committed it.
pub fn written(step: &'static str) {
    fail_point(&format!("{step}.written"));
    WRITTEN.with_borrow_mut(|steps| steps.push(step));
}

/// Passes the fail point `STEP.committed` of each step that the transaction has written.
pub fn committed() {
    let steps = WRITTEN.with_borrow_mut(std::mem::take);
    steps.iter().for_each(|step| fail_point(&format!("{step}.committed")));
}

/// Returns a statement that settles a row, without its fence under [`Mutant::NoFence`].
pub fn fence(sql: &str) -> Cow<'_, str> {
    if is_on(Mutant::NoFence) {
        // The parameters stay, or binding them would fail.
        Cow::Owned(sql.replace("AND owner = ?2 AND claim = ?3", "AND (?2 = ?2 OR ?3 = ?3)"))
    } else {
        Cow::Borrowed(sql)
    }
}

fn chosen() -> Option<Mutant> {
    let name = std::env::var("JOB_MUTANT").ok()?;
    let mutant = Mutant::ALL.into_iter().chain(Mutant::AMQP).find(|mutant| mutant.name() == name);
    // Silence would let a misspelt mutant pass as one that was caught.
    Some(mutant.unwrap_or_else(|| panic!("JOB_MUTANT names no mutant: {name:?}")))
}

fn fuse() -> Option<&'static Fuse> {
    static FUSE: OnceLock<Option<Fuse>> = OnceLock::new();
    let read = || {
        let text = std::env::var("JOB_FAILPOINT").ok()?;
        let fuse = text
            .rsplit_once(':')
            .and_then(|(name, count)| Some(Fuse { name: name.to_owned(), left: AtomicU32::new(count.parse().ok()?) }));
        Some(fuse.unwrap_or_else(|| panic!("JOB_FAILPOINT is no \"name:count\": {text:?}")))
    };
    FUSE.get_or_init(read).as_ref()
}
