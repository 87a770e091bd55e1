//! RabbitMQ: the same jobs on a broker of its own, for what one machine is not enough for.

// Pure, and not yet turned by a pump.
#[allow(dead_code, unused_imports, reason = "the pump comes next")]
mod wheel;
