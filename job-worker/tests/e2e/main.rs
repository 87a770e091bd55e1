//! End-to-end tests: the real worker binary, real files, real signals.

#[path = "../../../job-core/tests/amqp_node/mod.rs"]
mod amqp_node;
mod dead;
mod disk;
mod guide;
mod history;
mod hold;
mod kill;
mod leaders;
mod mistakes;
mod operator;
mod poison;
mod rabbitmq;
mod returns;
mod scene;
mod schedules;
mod sharing;
mod stop;
mod ticks;
mod topology;
mod topology_rabbitmq;
mod troubles;
