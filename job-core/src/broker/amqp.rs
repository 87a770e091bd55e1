//! RabbitMQ: the same jobs on a broker of its own, for what one machine is not enough for.
