//! RabbitMQ: the same jobs on a broker of its own, for what one machine is not enough for.
#![allow(dead_code, reason = "the broker that uses these parts comes next")]

mod ack_ring;
mod argument;
mod fault;
mod ledger;
mod link;
mod name;
mod runtime;
mod session;
mod settled;
mod url;
#[allow(unused_imports, reason = "the broker that uses it is not there yet")]
mod wire;
// Pure, and not yet turned by a pump.
#[allow(unused_imports, reason = "the pump comes next")]
mod wheel;

// The nodes that the tests of whole parts run on.
#[cfg(test)]
#[path = "../../tests/amqp_node/mod.rs"]
mod node;
