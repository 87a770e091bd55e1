//! The conformance suite that every broker passes.
