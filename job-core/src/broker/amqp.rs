//! RabbitMQ: the same jobs on a broker of its own, for what one machine is not enough for.

#[allow(dead_code, reason = "the broker that uses it is not there yet")]
mod ack_ring;
#[allow(dead_code, reason = "the broker that uses it is not there yet")]
mod argument;
#[allow(dead_code, reason = "the broker that uses it is not there yet")]
mod name;
#[allow(dead_code, reason = "the broker that uses it is not there yet")]
mod settled;
#[allow(dead_code, reason = "the broker that uses it is not there yet")]
mod url;
#[allow(dead_code, unused_imports, reason = "the broker that uses it is not there yet")]
mod wire;
