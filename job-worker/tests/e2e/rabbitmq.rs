//! What is only said of RabbitMQ: the mistakes of a newcomer's URL, and what its operator is told.

use job_core::clock::Clock;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use serde_json::json;

use crate::amqp_node;
use crate::scene::Scene;

const EX_UNAVAILABLE: i32 = 69;
const EX_NOPERM: i32 = 77;
const EX_CONFIG: i32 = 78;

const PLACE_HINT: &str = "check host and port in the URL, and that a RabbitMQ takes unencrypted AMQP there, as it does on \
                          port 5672 unless it was told otherwise";

/// Host and port of the node.
fn place() -> &'static str {
    let (_, rest) = amqp_node::url().split_once('@').expect("a user");
    rest.split_once('/').expect("a virtual host").0
}

/// Asserts how the stock program fails with a URL, whose password it never says.
fn check(scene: &Scene, url: &str, code: i32, expected: &str) {
    for args in [&["queues"][..], &["enqueue", "work", "{}", "--queue", "mail"]] {
        let answer = scene.stock(&[args, &["--broker", url]].concat());
        assert_eq!((answer.code, answer.stdout.as_str()), (Some(code), ""), "{}", answer.stderr);
        assert!(answer.stderr.starts_with(&format!("error: {expected}\n")), "{}", answer.stderr);
        assert!(!answer.stderr.contains("hunter2"), "{}", answer.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_a_matter_of_the_user() {
    let (scene, place) = (Scene::on_file().await, place());
    let expected = format!(
        "cannot connect to RabbitMQ at {place} as the user \"guest\"; check the user and the password in the URL, in which \
         special characters are percent-encoded"
    );
    check(&scene, &format!("amqp://guest:hunter2@{place}/%2f"), EX_NOPERM, &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_virtual_host_is_named() {
    let (scene, place) = (Scene::on_file().await, place());
    let expected = format!(
        "cannot connect to RabbitMQ at {place}: the user \"guest\" has no virtual host \"shop\" there; check the end of the URL \
         (\"/\" in a name is \"%2F\"), or have it made with `rabbitmqctl add_vhost` and allowed with `rabbitmqctl \
         set_permissions`"
    );
    check(&scene, &format!("amqp://guest:guest@{place}/shop"), EX_NOPERM, &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_where_nobody_listens_is_named() {
    let scene = Scene::on_file().await;
    let expected = format!("cannot connect to RabbitMQ at 127.0.0.1:1; {PLACE_HINT}");
    check(&scene, "amqp://guest:hunter2@127.0.0.1:1", EX_UNAVAILABLE, &expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn encryption_is_refused_and_not_left_out() {
    let scene = Scene::on_file().await;
    let expected = "this version cannot encrypt a connection to RabbitMQ, and \"amqps:\" is never downgraded; use \"amqp:\" \
                    and the port of unencrypted AMQP, in a network that you trust";
    check(&scene, &format!("amqps://guest:hunter2@{}", place()), EX_CONFIG, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_of_other_arguments_is_named_with_both_values() {
    let scene = Scene::on_rabbitmq().await;
    let connect = Connection::connect(amqp_node::url(), ConnectionProperties::default());
    let connection = connect.await.expect("the node takes the connection");
    let channel = connection.create_channel().await.expect("a channel opens");
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let name = format!("{}.default", scene.namespace());
    channel.queue_declare(name.as_str().into(), options, FieldTable::default()).await.expect("declared");
    let ended = scene.run_until_idle(&[]).await;
    let expected = format!(
        "error: the queue \"{name}\" exists already and differs: its \"x-dead-letter-exchange\" is not set, and \
         \"{}.jobs.dead\" is needed; we never change a queue: delete it once it is empty, or take a namespace of your own \
         with \"?namespace=…\"\n",
        scene.namespace()
    );
    assert_eq!(ended.code, Some(EX_CONFIG), "{}", ended.stderr);
    assert!(ended.stderr.contains(&expected), "{}", ended.stderr);
    connection.close(200, "OK".into()).await.expect("closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn delayed_jobs_are_counted_together_and_waited_for() {
    let scene = Scene::on_rabbitmq().await;
    assert_eq!(scene.run_until_idle(&[]).await.code, Some(0));
    let good = r#"{"milliseconds": 0, "failures": 0}"#;
    let id = scene.stock(&["enqueue", "work", good, "--delay", "5s"]).stdout.trim().to_owned();
    let answer = scene.stock(&["queues", "--json"]);
    let note = "note: 1 job is not due yet; this broker does not tell for which queues\n";
    assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), note));
    let begun = Clock::system().monotonic();
    assert_eq!(scene.run_until_idle(&[]).await.code, Some(0));
    assert_eq!(scene.history().faults(&[id]), Vec::<String>::new(), "after {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_amqp_cannot_do_is_said() {
    let scene = Scene::on_rabbitmq().await;
    assert_eq!(scene.run_until_idle(&[]).await.code, Some(0));
    scene
        .client
        .enqueue_raw("work", json!({ "milliseconds": 0, "failures": 0 }).to_string())
        .id("a")
        .await
        .expect("stored");
    let cancel = scene.stock(&["cancel", "a"]);
    let expected = "error: the broker \"rabbitmq\" finds no job by its id, so none can be cancelled; let the job's handler ask \
                    whether it is still wanted, or give it a limit with `expires`\n";
    cancel.assert_failed(&scene, EX_CONFIG, expected);
    let backup = "error: the broker \"rabbitmq\" cannot back up to \"copy.db\"; only \"sqlite\" can\n";
    scene.stock(&["backup", "copy.db"]).assert_failed(&scene, EX_CONFIG, backup);
}
