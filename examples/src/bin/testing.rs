//! How jobs are tested: their handlers, the code that enqueues them, and what retries and delays do over days.
//!
//! A harness runs jobs on a broker in memory and a clock of its own, so that three days pass at once. In a project, each
//! function below is a `#[tokio::test]`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use job_core::envelope::DeathReason;
use job_core::perform::Next;
use job_core::{Client, Context, Job, JobError, Perform};
use job_worker::testing::{Drained, Harness};
use job_worker::{assert_enqueued, refute_enqueued};
use serde::{Deserialize, Serialize};

const HOUR: Duration = Duration::from_secs(3600);

/// A mail server as the tests need it: it counts, and can be switched off.
#[derive(Clone, Default)]
struct Mailer {
    sent: Arc<AtomicUsize>,
    is_down: Arc<AtomicBool>,
}

#[derive(Job, Serialize, Deserialize, Debug, PartialEq)]
#[job(queue = "mail", max_attempts = 3, backoff = "fixed(1h)", state(Mailer))]
struct Welcome {
    to: String,
}

impl Perform for Welcome {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        let mailer = cx.state::<Mailer>();
        if !self.to.contains('@') {
            return Err(JobError::discard(format!("{:?} is no address", self.to)));
        }
        if mailer.is_down.load(Ordering::Relaxed) {
            return Err("the mail server is down".into());
        }
        mailer.sent.fetch_add(1, Ordering::Relaxed);
        cx.client().enqueue(Remind { to: self.to }).delay(72 * HOUR).await?;
        Ok(())
    }
}

#[derive(Job, Serialize, Deserialize, Debug, PartialEq)]
#[job(queue = "mail", state(Mailer))]
struct Remind {
    to: String,
}

impl Perform for Remind {
    async fn perform(self, cx: Context<Self>) -> Result<(), JobError> {
        cx.state::<Mailer>().sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// The code under test: it is given a client, and does not know whose.
async fn sign_up(client: &Client, address: &str) -> Result<()> {
    client.enqueue(Welcome { to: address.to_owned() }).await?;
    Ok(())
}

fn harness(mailer: &Mailer) -> Result<Harness> {
    Ok(Harness::builder().state(mailer.clone()).build()?)
}

async fn a_sign_up_enqueues_a_welcome() -> Result<()> {
    let harness = harness(&Mailer::default())?;
    sign_up(harness.client(), "ada@example.org").await?;
    assert_enqueued!(harness, Welcome { to } if to == "ada@example.org", queue = "mail", within = Duration::ZERO);
    refute_enqueued!(harness, Remind { .. });
    Ok(())
}

async fn a_bad_address_is_given_up() -> Result<()> {
    let harness = harness(&Mailer::default())?;
    let answer = harness.perform(Welcome { to: "ada".into() }).await;
    let error = answer.expect_err("it must not be sent");
    assert_eq!((error.next(), error.message()), (&Next::Discard, "\"ada\" is no address".into()));
    Ok(())
}

async fn three_days_after_the_welcome_comes_a_reminder() -> Result<()> {
    let mailer = Mailer::default();
    let harness = harness(&mailer)?;
    sign_up(harness.client(), "ada@example.org").await?;
    assert_eq!(harness.drain().await, Drained { completed: 1, ..Drained::default() });
    assert_eq!(harness.all_enqueued::<Remind>(), [Remind { to: "ada@example.org".into() }]);
    assert_eq!(harness.advance(71 * HOUR).await, Drained::default());
    assert_eq!(harness.advance(HOUR).await, Drained { completed: 1, ..Drained::default() });
    assert_eq!(mailer.sent.load(Ordering::Relaxed), 2);
    Ok(())
}

async fn a_mail_server_may_be_down_for_two_hours() -> Result<()> {
    let mailer = Mailer::default();
    mailer.is_down.store(true, Ordering::Relaxed);

    let harness = harness(&mailer)?;
    sign_up(harness.client(), "ada@example.org").await?;
    assert_eq!(harness.advance(HOUR).await, Drained { retried: 2, ..Drained::default() });
    mailer.is_down.store(false, Ordering::Relaxed);
    assert_eq!(harness.advance(HOUR).await, Drained { completed: 1, ..Drained::default() });

    mailer.is_down.store(true, Ordering::Relaxed);
    sign_up(harness.client(), "grace@example.org").await?;
    assert_eq!(harness.advance(24 * HOUR).await, Drained { retried: 2, dead: 1, ..Drained::default() });
    let death = harness.dead()[0].details.death.clone().expect("a dead job says why");
    assert_eq!((death.reason, death.error.as_str()), (DeathReason::Attempts, "the mail server is down"));
    Ok(())
}

// One thread is enough for a harness, as in `#[tokio::test]`.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    a_sign_up_enqueues_a_welcome().await?;
    a_bad_address_is_given_up().await?;
    three_days_after_the_welcome_comes_a_reminder().await?;
    a_mail_server_may_be_down_for_two_hours().await?;
    println!("four tests passed, and four days with them");
    Ok(())
}
