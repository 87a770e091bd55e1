//! `run`: from flags and the program's own setup to a worker, its logs, metrics and signals.

use std::process::ExitCode;
use std::sync::Arc;

use job_core::client::Client;
use job_core::error::{BoxError, Error, Result};
use job_core::name::{Kind, QueueName};
use job_core::registry::Registry;

use crate::admin::AdminServer;
use crate::cli::args::{LogFormatFlag, RunFlags};
use crate::cli::exit;
use crate::cli::live::LiveLine;
use crate::config::{QueueConfig, Scheduling};
use crate::logs::{self, LogFormat, LogObserver};
use crate::metrics::Metrics;
use crate::roster::check_registry;
use crate::signals::Signals;
use crate::worker::{Worker, WorkerBuilder};

pub(super) async fn run<F>(url: &str, flags: &RunFlags, setup: F) -> Result<ExitCode>
where
    F: AsyncFnOnce(WorkerBuilder) -> Result<WorkerBuilder, BoxError>,
{
    let live = LiveLine::new();
    init_logs(flags, live.as_ref())?;
    let queues = flags.queues.iter().map(|q| QueueConfig::parse(q)).collect::<Result<Vec<_>>>()?;
    // Before anything is connected: a program without jobs must not leave a database behind.
    check_registry(&Registry::linked()?)?;
    let metrics = Arc::new(Metrics::new());
    let client = Client::connect(url).await?;
    let mut builder = Worker::builder()
        .client(client.clone())
        .observer(Arc::clone(&metrics) as _)
        .observer(Arc::new(LogObserver))
        .main_process();
    if let Some(live) = &live {
        builder = builder.observer(live.observer());
    }
    let builder = setup(builder).await.map_err(|e| Error::invalid("the worker's setup failed").caused_by(e))?;
    let worker = builder.flags(flags, queues).build()?;
    for (queue, kind) in worker.handled() {
        metrics.declare(queue, &Kind::parse(kind)?);
    }
    let names = worker.queue_names().map(QueueName::parse_any).collect::<Result<Vec<_>>>()?;
    let admin = match flags.admin {
        Some(addr) => Some(AdminServer::bind(addr, metrics, Arc::new(worker.health())).await?),
        None => None,
    };
    let signals = tokio::spawn(Signals::install()?.pass_to(worker.stop_handle()));
    let admin = admin.map(|admin| tokio::spawn(admin.run(std::future::pending())));
    let drawing = live.map(|live| live.start(Arc::clone(client.broker()), names));
    let stopped = worker.run().await;
    drop(drawing);
    signals.abort();
    admin.inspect(|admin| admin.abort());
    match stopped? {
        stopped if stopped.failure.is_some() => Ok(exit::failed(&stopped)),
        stopped if stopped.unfinished > 0 => Ok(exit::unfinished()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn init_logs(flags: &RunFlags, live: Option<&LiveLine>) -> Result<()> {
    let format = match flags.log_format {
        LogFormatFlag::Text => LogFormat::Text,
        LogFormatFlag::Json => LogFormat::Json,
    };
    let filter = flags.log.as_deref();
    let initialised = match live {
        Some(live) => logs::init_with(format, filter, live.stderr()),
        None => logs::init(format, filter),
    };
    initialised.map_err(Error::invalid)
}

impl WorkerBuilder {
    /// What was written on the command line wins over what the program says.
    fn flags(mut self, flags: &RunFlags, queues: Vec<QueueConfig>) -> Self {
        if let Some(concurrency) = flags.concurrency {
            self = self.concurrency(concurrency);
        }
        if let Some(grace) = flags.grace {
            self = self.grace(grace);
        }
        if flags.no_schedule {
            self = self.scheduling(Scheduling::Without);
        }
        if flags.only_schedule {
            self = self.scheduling(Scheduling::Only);
        }
        if flags.exit_when_idle {
            self = self.exit_when_idle();
        }
        if queues.is_empty() { self } else { self.only_queues(queues) }
    }
}
