//! One process of a run: how it is started, told to stop, and killed.

use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use job_core::clock::Clock;

use crate::record;

const POLL: Duration = Duration::from_millis(5);

/// What a process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Operator,
    Producer,
    Relay,
    Worker,
}

/// A running process. It is killed when it is dropped.
pub(crate) struct Process {
    pub(crate) name: String,
    child: Child,
}

/// What a process is started with.
pub(crate) struct Start<'a> {
    pub(crate) name: String,
    pub(crate) folder: &'a Path,
    pub(crate) url: &'a str,
    pub(crate) args: Vec<String>,
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Producer => "producer",
            Self::Relay => "relay",
            Self::Worker => "worker",
        }
    }
}

impl Process {
    pub(crate) fn start(start: Start<'_>) -> io::Result<Self> {
        let log = File::create(start.folder.join(format!("{}.log", start.name)))?;
        let (variable, history) = record::variable(start.folder, &start.name);
        // Made here, so that whoever looks finds it.
        File::create(&history)?;
        let child = Command::new(std::env::current_exe()?)
            .args(&start.args)
            .env_clear()
            .env("JOB_BROKER", start.url)
            .env(variable, history)
            .envs(start.variables)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        Ok(Self { name: start.name, child })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it, and waits until it is gone.
    pub(crate) fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }

    /// Tells it to stop.
    pub(crate) fn terminate(&self) -> io::Result<()> {
        if self.signal("TERM")? {
            Ok(())
        } else {
            Err(io::Error::other(format!("{} has gone before SIGTERM", self.name)))
        }
    }

    /// Sends a signal; false when the process has gone.
    pub(crate) fn signal(&self, signal: &str) -> io::Result<bool> {
        Ok(Command::new("kill").args(["-s", signal, &self.id().to_string()]).status()?.success())
    }

    /// Returns how it ended, once it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for its end, but not for ever.
    pub(crate) async fn wait(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let clock = Clock::system();
        let begun = clock.monotonic();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(Some(status));
            }
            if clock.monotonic() - begun > limit {
                return Ok(None);
            }
            clock.sleep(POLL).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended is no error.
        let _ = self.kill();
    }
}
