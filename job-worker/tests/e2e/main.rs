//! End-to-end tests: the real worker binary, real files, real signals.

mod history;
mod kill;
mod mistakes;
mod poison;
mod scene;
mod stop;
mod troubles;
