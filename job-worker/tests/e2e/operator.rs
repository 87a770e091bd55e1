//! An operator's commands, mostly of the stock program: it has nobody's jobs, and learns of them from the ledger.

use serde_json::{Value, json};

use crate::scene::Scene;

const EX_USAGE: i32 = 64;
const EX_DATAERR: i32 = 65;
const EX_NOINPUT: i32 = 66;
const EX_CANTCREAT: i32 = 73;
const EX_CONFIG: i32 = 78;

async fn announced() -> Scene {
    announced_on(Scene::new().await).await
}

async fn announced_on(scene: Scene) -> Scene {
    let ended = scene.run_until_idle(&[]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_are_known_to_a_program_without_them() {
    let scene = announced().await;
    let row = |answer: &Value| -> Value {
        let rows = answer.as_array().expect("an array");
        rows.iter().find(|row| row["kind"] == "work").cloned().expect("the kind")
    };
    let mut expected = json!({
        "kind": "work", "aliases": [], "queue": "default", "max_attempts": 5, "timeout_seconds": 600.0,
        "expires_seconds": null, "linked": false, "type": null,
    });
    let stock = scene.stock(&["kinds", "--json"]).json();
    assert_eq!(row(&stock), expected);
    expected["linked"] = true.into();
    expected["type"] = "fixture_worker::Work".into();
    let fixture = scene.fixture(&["kinds", "--json"]).json();
    assert_eq!(row(&fixture), expected);
    assert_eq!(stock.as_array().map(Vec::len), fixture.as_array().map(Vec::len));
    let table = scene.stock(&["kinds"]).stdout;
    assert!(table.starts_with("KIND "), "{table}");
    assert!(!table.contains('\u{1b}'), "no colours into a pipe");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_linked_kinds_are_listed_without_a_database() {
    let scene = Scene::new().await;
    let answer = scene.fixture(&["kinds", "--broker", "sqlite:missing.db"]);
    let note = "note: only the linked kinds are listed: there is no database \"missing.db\"; name the one that the \
                workers use\n";
    assert_eq!((answer.code, answer.stderr.as_str()), (Some(0), note));
    assert!(answer.stdout.contains("work"));
    assert!(!scene.path("missing.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_stock_program_enqueues_is_run_by_a_worker() {
    let scene = announced().await;
    let good = r#"{"milliseconds": 0, "failures": 0}"#;
    let answer = scene.stock(&["enqueue", "work", good, "--id", "mine", "--json"]).json();
    assert_eq!(answer, json!({ "id": "mine", "kind": "work", "queue": "default" }));
    let id = scene.stock_reading(&["enqueue", "work", "-", "--delay", "10ms"], good).stdout;
    let at = scene.fixture(&["enqueue", "work", good, "--at", "2020-01-01T00:00:00Z"]).stdout;
    let ids = ["mine".to_owned(), id.trim().to_owned(), at.trim().to_owned()];
    assert_eq!(scene.run_until_idle(&[]).await.code, Some(0));
    assert_eq!(scene.history().faults(&ids), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_kind_is_refused_unless_its_queue_is_named() {
    let scene = Scene::new().await;
    let text = |known: &str| {
        format!(
            "error: the kind \"wrk\" is neither linked into this program nor announced by a worker ({known}); check its \
             name, or say --queue QUEUE to enqueue it all the same\n"
        )
    };
    scene.stock(&["enqueue", "wrk", "{}"]).assert_failed(&scene, EX_USAGE, &text("no kind is known here"));
    assert_eq!(scene.run_until_idle(&[]).await.code, Some(0));
    let answer = scene.stock(&["enqueue", "wrk", "{}"]);
    assert!(answer.stderr.contains("(known are \"block") && answer.stderr.contains("\"work\")"), "{}", answer.stderr);
    let answer = scene.stock(&["enqueue", "wrk", "{}", "--queue", "mail", "--id", "a", "--json"]).json();
    assert_eq!(answer, json!({ "id": "a", "kind": "wrk", "queue": "mail" }));
    let missing = "error: there is no database \"missing.db\"; name the one that the workers use\n";
    let args = ["enqueue", "wrk", "{}", "--broker", "sqlite:missing.db"];
    scene.stock(&args).assert_failed(&scene, EX_CONFIG, missing);
    assert!(!scene.path("missing.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_is_checked_before_it_is_stored() {
    let scene = announced().await;
    let none = "error: the payload of \"work\" is not JSON\n  because: key must be a string at line 1 column 2\n";
    scene.stock(&["enqueue", "work", "{milliseconds: 3}"]).assert_failed(&scene, EX_DATAERR, none);
    let undecodable = "error: the payload does not decode as \"work\" (fixture_worker::Work)\n  because: missing field \
                       `failures` at line 1 column 19\n";
    scene.fixture(&["enqueue", "work", r#"{"milliseconds": 3}"#]).assert_failed(&scene, EX_DATAERR, undecodable);
    let large = format!("\"{}\"", "x".repeat(256 * 1024));
    let too_large = "error: the payload of \"work\" has more than 262144 bytes, the limit; store the data elsewhere and \
                     enqueue where it is\n";
    scene.stock_reading(&["enqueue", "work", "-"], &large).assert_failed(&scene, EX_DATAERR, too_large);
    for flag in [["--queue", "jobs.x"], ["--delay", "soon"], ["--at", "noon"]] {
        let answer = scene.stock(&[&["enqueue", "work", "{}"], &flag[..]].concat());
        assert_eq!(answer.code, Some(EX_USAGE), "{}", answer.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_listed_with_what_waits() {
    // RabbitMQ does not tell all of it.
    let scene = announced_on(Scene::on_file().await).await;
    scene.enqueue_work(0, 0).await;
    let queues = scene.stock(&["queues", "--json"]).json();
    let row = &queues[0];
    let counts = [&row["queue"], &row["ready"], &row["delayed"], &row["running"]];
    assert_eq!(counts, [&json!("default"), &json!(1), &json!(0), &json!(0)]);
    assert!(row["oldest_ready_milliseconds"].is_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_job_is_cancelled_and_no_other() {
    // RabbitMQ cannot look for a job by its id.
    let scene = announced_on(Scene::on_file().await).await;
    let id = scene.enqueue_work(0, 0).await.to_string();
    assert_eq!(scene.stock(&["cancel", &id, "--json"]).json(), json!({ "cancelled": id }));
    let gone = format!("error: no queue holds the job {id}: it has run, was cancelled, or never was\n");
    scene.stock(&["cancel", &id]).assert_failed(&scene, EX_NOINPUT, &gone);
    let id = scene.enqueue("panics", json!(null)).await;
    assert_eq!(scene.run_until_idle(&[]).await.code, Some(0));
    let dead = format!("error: the job {id} is dead and does not run again; delete it with `dead purge {id}`\n");
    scene.stock(&["cancel", &id.to_string()]).assert_failed(&scene, EX_USAGE, &dead);
    assert_eq!(scene.history().runs(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_holds_the_jobs_and_replaces_nothing() {
    let scene = Scene::on_file().await;
    let id = scene.enqueue_work(0, 0).await.to_string();
    let answer = scene.stock(&["backup", "copy.db", "--json"]).json();
    assert_eq!((&answer["file"], &answer["jobs"]), (&json!("copy.db"), &json!(1)));
    let exists = "error: file \"DIR/copy.db\" exists already; name a new one\n";
    scene.stock(&["backup", "copy.db"]).assert_failed(&scene, EX_CANTCREAT, exists);
    let ended = scene.run_until_idle(&["--broker", "sqlite:copy.db"]).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(scene.history().faults(&[id]), Vec::<String>::new());
    let none = "error: the broker \"memory\" cannot back up to \"other.db\"; only \"sqlite\" can\n";
    scene.stock(&["backup", "other.db", "--broker", "memory:"]).assert_failed(&scene, EX_CONFIG, none);
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_are_of_the_program_that_was_called() {
    let scene = Scene::new().await;
    for shell in ["bash", "zsh", "fish"] {
        let script = scene.fixture(&["completions", shell]).stdout;
        assert!(script.contains("fixture-worker") && script.contains("error-contains"), "{script}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn run_in_a_program_without_jobs_explains_how_to_have_some() {
    let scene = Scene::new().await;
    let answer = scene.stock(&["run", "--broker", "sqlite:fresh.db"]);
    assert_eq!(answer.code, Some(EX_CONFIG));
    assert!(answer.stderr.contains("    use my_jobs as _; //"), "{}", answer.stderr);
    assert!(answer.stderr.contains("    fn main() -> std::process::ExitCode {\n"), "{}", answer.stderr);
    assert!(!scene.path("fresh.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn run_keeps_a_line_on_a_terminal_and_nowhere_else() {
    let scene = Scene::on_file().await;
    scene.enqueue_work(1500, 0).await;
    scene.enqueue("panics", json!(null)).await;
    let shown = scene.fixture_on_terminal(&["run", "--exit-when-idle"]);
    assert!(shown.contains("| running 1, waiting 0, delayed 0, dead 1"), "{shown}");
    assert!(shown.contains("everything that ran has ended"), "{shown}");
    let last_line = shown.rfind("| running").expect("the line");
    assert!(shown[last_line..].contains("\u{1b}[2K"), "it is cleared at the end: {shown:?}");
    scene.enqueue_work(700, 0).await;
    let ended = scene.run_until_idle(&[]).await;
    assert!(!ended.stderr.contains("| running"), "{}", ended.stderr);
}
