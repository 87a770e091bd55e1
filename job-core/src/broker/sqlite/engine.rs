//! One open file of this process: its thread, and the handles that share it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex, Weak};
use std::thread::JoinHandle;

use tokio::sync::{Mutex, oneshot};

use crate::broker::sqlite::catalog::Catalog;
use crate::broker::sqlite::committer::Committer;
use crate::broker::sqlite::connection::{self, beside};
use crate::broker::sqlite::fault::{Fault, Site};
use crate::broker::sqlite::inbox::Inbox;
use crate::broker::sqlite::inspect::Reader;
use crate::broker::sqlite::keeper::Keeper;
use crate::broker::sqlite::op::{Manner, Message};
use crate::broker::sqlite::options::SqliteOptions;
use crate::broker::sqlite::owner::{self, Owner};
use crate::broker::sqlite::port::Port;
use crate::broker::sqlite::session::{Effects, Session};
use crate::broker::sqlite::shared::{Handle, Shared};
use crate::broker::sqlite::writer::Writer;
use crate::clock::Clock;
use crate::error::Result;
use crate::sabotage;

/// The files that this process has open. Held while one is opened, or two handles would begin two threads.
static OPEN: Mutex<Option<HashMap<PathBuf, Weak<Engine>>>> = Mutex::const_new(None);

/// One open file.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) port: Port,
    pub(super) shared: Arc<Shared>,
    pub(super) clock: Clock,
    pub(super) reader: Reader,
    pub(super) locks: PathBuf,
    handles: AtomicUsize,
    thread: StdMutex<Option<JoinHandle<()>>>,
}

impl Engine {
    /// Opens a file, or joins those who have it open in this process.
    pub(super) async fn open(path: &Path, options: SqliteOptions, clock: Clock) -> Result<Arc<Self>> {
        // Whole, so that it stays the same file when the process changes its directory.
        let path = &canonical(path);
        if !options.is_shared {
            return Self::begin(path, options, clock).await;
        }
        let mut open = OPEN.lock().await;
        let open = open.get_or_insert_default();
        open.retain(|_, engine| engine.strong_count() > 0);
        let known = open.get(path).and_then(Weak::upgrade);
        if let Some(engine) = known.filter(|engine| engine.join()) {
            return Ok(engine);
        }
        let engine = Self::begin(path, options, clock).await?;
        // Its path is what it is only now that it exists: a link may lead elsewhere.
        open.insert(canonical(path), Arc::downgrade(&engine));
        Ok(engine)
    }

    /// Gives up one handle; the last one ends the thread.
    pub(super) async fn leave(&self, handle: Handle) {
        self.shared.leave(handle);
        if self.handles.fetch_sub(1, Ordering::AcqRel) > 1 {
            // What this handle had begun is done when a later operation is.
            let _ = self.port.call(Manner::Publish, |_| Ok(())).await;
            return;
        }
        self.reader.close();
        let (reply, done) = oneshot::channel();
        self.port.send(Message::Stop(reply));
        // A thread that had ended before has dropped the reply.
        let _ = done.await;
        self.join_thread();
    }

    /// Gives up one handle without waiting.
    pub(super) fn abandon(&self, handle: Handle) {
        self.shared.leave(handle);
        if self.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.port.send(Message::Stop(oneshot::channel().0));
        }
    }

    /// Ends the thread as a crash would.
    pub(super) fn kill(&self) {
        self.port.send(Message::Kill);
        self.join_thread();
    }

    /// Adds a handle, unless the last one has just gone.
    fn join(&self) -> bool {
        let joined = self.handles.fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| (n > 0).then_some(n + 1));
        joined.is_ok()
    }

    fn join_thread(&self) {
        let thread = self.thread.lock().expect("no code panics while it holds the thread").take();
        if let Some(thread) = thread {
            // It has nothing left to do, so this does not block; a panic in it was reported by its hook.
            let _ = thread.join();
        }
    }

    async fn begin(path: &Path, options: SqliteOptions, clock: Clock) -> Result<Arc<Self>> {
        let site = Arc::new(Site { path: path.to_owned(), busy_timeout: options.busy_timeout });
        let inbox = Arc::new(Inbox::default());
        let port = Port::new(Arc::clone(&inbox), Arc::clone(&site));
        let shared = Shared::new();
        let start = Start { options, clock: clock.clone(), inbox, port: port.clone(), shared: Arc::clone(&shared) };
        let (opened, is_open) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("job-sqlite".into())
            .spawn(move || start.run(opened))
            .map_err(|error| site.closed().caused_by(error))?;
        let begun = is_open.await.map_err(|_| site.closed())?.map_err(|fault| site.error(&fault))?;
        begun.keep();
        Ok(Arc::new(Self {
            port,
            shared,
            clock,
            reader: Reader::new(Arc::clone(&site)),
            locks: locks(&site),
            handles: AtomicUsize::new(1),
            thread: StdMutex::new(Some(thread)),
        }))
    }
}

/// What the thread begins with.
struct Start {
    options: SqliteOptions,
    clock: Clock,
    inbox: Arc<Inbox>,
    port: Port,
    shared: Arc<Shared>,
}

/// Stops a thread that has begun, unless somebody keeps it: whoever waited for it may be gone.
struct Begun(Option<Port>);

impl Begun {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(port) = &self.0 {
            port.send(Message::Stop(oneshot::channel().0));
        }
    }
}

/// Ends the waits of others when the thread ends, by a panic too.
struct End(Arc<Inbox>, Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.close();
        self.1.end();
    }
}

impl Start {
    fn run(self, opened: oneshot::Sender<Result<Begun, Fault>>) {
        let begun = Begun(Some(self.port.clone()));
        let end = End(Arc::clone(&self.inbox), Arc::clone(&self.shared));
        match self.open() {
            Ok(writer) => {
                // What nobody receives is dropped, and stops the thread.
                let _ = opened.send(Ok(begun));
                writer.run();
            }
            Err(fault) => {
                let _ = opened.send(Err(fault));
            }
        }
        drop(end);
    }

    fn open(self) -> Result<Writer, Fault> {
        let site = Arc::clone(&self.port.site);
        let conn = connection::open(&site)?;
        // Only beside a database that is ours.
        let owner = Owner::create(&locks(&site))?;
        sabotage::fail_point("owner.locked");
        let session = Session {
            conn,
            catalog: Catalog::default(),
            clock: self.clock,
            owner: owner.id,
            claim: 0,
            effects: Effects::default(),
            process_queues: Vec::new(),
        };
        let mut committer = Committer::new(session, Arc::clone(&site), self.options.pages_max);
        committer.transact(true, owner::register)?;
        let keeper = Keeper::new(Arc::clone(&site), locks(&site), owner);
        Ok(Writer::new(committer, keeper, self.inbox, self.port, self.shared))
    }
}

/// Returns the directory of the lock files of a database that exists: the same by whatever link it was opened, or the
/// owners of one would seem dead to those of another.
fn locks(site: &Site) -> PathBuf {
    beside(&canonical(&site.path), ".locks")
}

fn canonical(path: &Path) -> PathBuf {
    let of_parent = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    path.canonicalize()
        .ok()
        .or_else(of_parent)
        .or_else(|| std::path::absolute(path).ok())
        .unwrap_or_else(|| path.into())
}
