//! `#[derive(Job)]`.
