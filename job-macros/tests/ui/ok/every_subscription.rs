//! Every way to listen.
use job_core::{Context, Job, JobError, Perform};
use serde::{Deserialize, Serialize};

job_core::application!("shop");

#[derive(Job, Serialize, Deserialize)]
#[job(on(topic = "member.*.updated"), on(topic = "#"), on(direct = "pdf",), on(fanout = "prices"))]
#[job(on(headers(all, format = "pdf", "content-kind" = "x", r#type = "a",)), on(headers(any, size = "a4")))]
#[job(on(headers(all)), max_attempts = 3, expires = "1h", concurrency = 2)]
struct Mirror {
    id: u64,
}

#[derive(Job, Serialize, Deserialize)]
#[job(on(exchange = "legacy", topic = "order.#"), on(fanout, exchange = "amq.fanout"), group = "billing")]
#[job(handler = "elsewhere")]
struct Foreign {}

#[derive(Job, Serialize, Deserialize)]
#[job(on(topic = "member.*.updated"), ephemeral, timeout = "1s")]
struct Cache;

impl Perform for Mirror {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        println!("{}", self.id);
        Ok(())
    }
}

impl Perform for Cache {
    async fn perform(self, _: Context<Self>) -> Result<(), JobError> {
        Ok(())
    }
}

fn main() {}
