//! The guide's commands, run in its order: each prints what the guide says.

use job_core::broker::{Outcome, Outgoing, Window};
use job_core::clock::Timestamp;
use job_core::envelope::{DeathReason, Envelope};
use job_core::name::{JobId, Kind, QueueName};
use job_core::topology::Topology;

use crate::scene::Scene;

const GUIDE: &str = include_str!("../../../job-core/docs/dead-letters.md");

async fn die(scene: &Scene, id: &str, payload: &str, attempt: u32, reason: DeathReason, error: &str) {
    let broker = scene.client.broker();
    let at: Timestamp = "2026-01-31T08:00:00Z".parse().expect("an instant");
    let mail = QueueName::parse("mail").expect("a queue's name");
    let (id, kind) = (JobId::parse(id).expect("an id"), Kind::parse("send_mail").expect("a kind"));
    let mut envelope = Envelope::new(id, kind, payload.into(), at);
    envelope.attempt = attempt;
    envelope.details.headers.insert("tenant".into(), "acme".into());
    broker.publish(vec![Outgoing::to_queue(mail.clone(), envelope)]).await.pop().expect("one answer").expect("stored");
    broker.declare(&Topology::default().queue(mail.clone())).await.expect("declared");
    let mut consumer = broker.consume(&mail, Window::exact(1)).await.expect("consumed");
    let delivery = consumer.next_many(1).await.expect("taken").pop().expect("it waits");
    consumer.close().await;
    let mut envelope = delivery.envelope;
    envelope.declare_dead(at, reason, error);
    delivery.settle.settle(Outcome::Dead { envelope }).await.expect("settled");
}

/// Returns the commands of the guide's console blocks, each with what it prints.
fn commands(guide: &str) -> Vec<(String, String)> {
    let blocks = guide.split("```console\n").skip(1).map(|rest| rest.split("```").next().expect("a part"));
    let mut commands: Vec<(String, String)> = Vec::new();
    for line in blocks.flat_map(str::lines) {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.into(), String::new())),
            (None, Some((_, printed))) => printed.extend([line, "\n"]),
            (None, None) => panic!("{line:?} follows no command"),
        }
    }
    commands
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_guide_on_dead_jobs_print_what_it_says() {
    let scene = Scene::new().await;
    let (good, timeout) = (r#"{"to": "a@acme.com", "body": "Hi"}"#, "connect to mx.example.com: timed out");
    die(&scene, "mail-1", good, 5, DeathReason::Attempts, timeout).await;
    die(&scene, "mail-2", good, 5, DeathReason::Attempts, timeout).await;
    let missing = "missing field `body` at line 1 column 20";
    die(&scene, "mail-3", r#"{"to": "a@acme.com"}"#, 1, DeathReason::Undecodable, missing).await;
    die(&scene, "mail-4", good, 1, DeathReason::Discarded, "no such mailbox").await;
    let commands = commands(GUIDE);
    assert_eq!(commands.len(), 6, "{commands:#?}");
    for (command, expected) in commands {
        assert_eq!(scene.shell(&command), expected, "{command}");
    }
}
