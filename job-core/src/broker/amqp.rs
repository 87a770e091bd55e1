//! RabbitMQ: the same jobs on a broker of its own, for what one machine is not enough for.
#![allow(dead_code, reason = "the broker that uses these parts comes next")]

mod argument;
mod fault;
mod link;
mod name;
mod runtime;
mod session;
mod url;
#[allow(unused_imports, reason = "the pump comes next")]
mod wheel;
#[allow(dead_code, unused_imports, reason = "the broker that uses it is not there yet")]
mod wire;
