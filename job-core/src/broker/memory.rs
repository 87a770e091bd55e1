//! The reference model: a broker in memory, for tests.
