//! How the embedded broker is opened: plain data, each field with its default.

use std::time::Duration;

/// Options of a [`SqliteBroker`](crate::broker::sqlite::SqliteBroker).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqliteOptions {
    /// How long a publish waits for a lock that another process holds before it is rejected. Defaults to 10 s.
    pub busy_timeout: Duration,
    /// Brokers of this process that are opened on the same file share one connection, with the options and the clock of
    /// the first. Defaults to true.
    pub is_shared: bool,
    /// Size of the database in pages of 4 KiB beyond which publishing is rejected as on a full disk, while stored jobs
    /// still run; `None` is as much as the disk has. Defaults to `None`.
    pub pages_max: Option<u32>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { busy_timeout: Duration::from_secs(10), is_shared: true, pages_max: None }
    }
}
