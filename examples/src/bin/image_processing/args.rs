//! The command line.

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};

/// Makes small JPEG files of photographs, as background jobs.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Which part of the system this process is
    #[arg(long, value_enum, default_value_t = Role::Both)]
    pub(crate) role: Role,

    /// Folder of the photographs, .jpg, .jpeg and .png [default: the four that come with the example]
    #[arg(long, value_name = "DIR")]
    pub(crate) photos: Option<PathBuf>,

    /// Folder of the results
    #[arg(long, value_name = "DIR", default_value = "resized")]
    pub(crate) out: PathBuf,

    /// Widths in pixels; a photograph that is narrower keeps its own
    #[arg(long, value_name = "PIXELS", value_delimiter = ',', default_value = "120,240,480",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) widths: Vec<u32>,

    /// Where the jobs are
    #[arg(long, env = "JOB_BROKER", value_name = "URL", default_value = "sqlite:image_processing.db")]
    pub(crate) broker: String,

    /// With `--role worker`: stop when nothing is left to do
    #[arg(long)]
    pub(crate) exit_when_idle: bool,
}

/// A part of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Enqueue, and work until everything is done
    Both,
    /// Enqueue only
    App,
    /// Work only
    Worker,
}

impl Args {
    /// Returns the folder of the photographs.
    pub(crate) fn photos(&self) -> &Path {
        self.photos.as_deref().unwrap_or(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/photos")))
    }
}
