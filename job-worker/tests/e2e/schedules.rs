//! An operator's view of schedules: `schedules list|next|run|pause|resume`, and workers that fire only, or never.

use serde_json::{Value, json};

use crate::scene::{Answer, Process, Scene, wait};
use crate::ticks::Note;

const EX_USAGE: i32 = 64;
const EX_DATAERR: i32 = 65;
const EX_NOINPUT: i32 = 66;

/// Starts the worker with schedules, and waits until it has fired a tick.
async fn ticking(scene: &Scene, args: &[&str]) -> Process {
    let worker = scene.start_as(scene.scheduler(&[&["run"], args].concat()));
    wait_note(scene, "fired", 1).await;
    worker
}

async fn wait_note(scene: &Scene, what: &str, count: usize) {
    wait(&format!("{count} times {what}"), || std::future::ready(notes(scene, what).len() >= count)).await;
}

fn notes(scene: &Scene, what: &str) -> Vec<Note> {
    Note::all(scene).into_iter().filter(|note| note.what == what).collect()
}

async fn stop(worker: Process) {
    worker.signal("TERM");
    let ended = worker.wait().await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

fn row(scene: &Scene, schedule: &str) -> Value {
    let rows = scene.stock(&["schedules", "list", "--json"]).json();
    let rows = rows.as_array().expect("an array");
    assert_eq!(rows.len(), 2, "{rows:?}");
    rows.iter().find(|row| row["schedule"] == schedule).cloned().expect("the schedule")
}

#[tokio::test(flavor = "multi_thread")]
async fn schedules_are_listed_with_their_next_run_in_both_zones() {
    let scene = Scene::new().await;
    stop(ticking(&scene, &[]).await).await;
    let mut nightly = row(&scene, "clock/nightly");
    let (local, utc) = (nightly["next"].take(), nightly["next_utc"].take());
    let local = local.as_str().expect("a text").to_owned();
    assert!(local.contains(" 02:30:00 CE") || local.contains(" 03:00:00 CEST"), "{local}");
    let hour = &utc.as_str().expect("an instant")[11..];
    assert!(["00:30:00Z", "01:00:00Z", "01:30:00Z"].contains(&hour), "{utc}");
    let expected = json!({
        "schedule": "clock/nightly", "recurrence": "30 2 * * * Europe/Berlin", "kind": "nightly", "queue": "default",
        "origin": "code", "missed": "skip", "overlap": "allow", "jitter_seconds": 10, "next": null, "next_utc": null,
        "last_run": null, "state": "active",
    });
    assert_eq!(nightly, expected);
    let beat = row(&scene, "clock/beat");
    assert_eq!((&beat["recurrence"], &beat["missed"]), (&json!("every 1s"), &json!({"all": 1000})));
    let last = notes(&scene, "fired").pop().expect("a tick").tick.replace("+00:00", "Z");
    assert_eq!(beat["last_run"], last, "the latest tick is written down at a stop");
    let table = scene.stock(&["schedules", "list"]).stdout;
    assert!(table.starts_with("SCHEDULE ") && table.contains("every 1s"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_runs_of_a_schedule_or_of_any_expression_are_told() {
    let scene = Scene::new().await;
    stop(ticking(&scene, &[]).await).await;
    let expected = json!([
        {"local": "Sat 2027-03-27 02:30:00 CET", "utc": "2027-03-27T01:30:00Z", "offset": "+01:00"},
        {"local": "Sun 2027-03-28 03:00:00 CEST", "utc": "2027-03-28T01:00:00Z", "offset": "+02:00"},
        {"local": "Mon 2027-03-29 02:30:00 CEST", "utc": "2027-03-29T00:30:00Z", "offset": "+02:00"},
    ]);
    let more = ["-n", "3", "--after", "2027-03-27T00:00:00Z", "--json"];
    let deployed = scene.stock(&[&["schedules", "next", "nightly"], &more[..]].concat()).json();
    assert_eq!(deployed, expected);
    let typed = ["schedules", "next", "--cron", "30 2 * * *", "--tz", "Europe/Berlin"];
    let not_deployed = scene.stock(&[&typed, &more[..], &["--broker", "sqlite:missing.db"]].concat()).json();
    assert_eq!(not_deployed, expected);
    let autumn = ["-n", "2", "--after", "2026-10-24T12:00:00Z"];
    let table = scene.stock(&[&typed, &autumn[..]].concat()).stdout;
    let rows: Vec<&str> = table.lines().skip(1).map(str::trim_end).collect();
    assert_eq!(
        rows,
        ["Sun 2026-10-25 02:30:00 CEST  2026-10-25T00:30:00Z", "Mon 2026-10-26 02:30:00 CET   2026-10-26T01:30:00Z"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_about_schedules_say_what_to_write() {
    let scene = Scene::new().await;
    stop(ticking(&scene, &[]).await).await;
    let check = |args: &[&str], code: i32, expected: &str| {
        scene.stock(&[&["schedules"], args].concat()).assert_failed(&scene, code, &format!("error: {expected}\n"));
    };
    let unknown = "no schedule is called \"weekly\"; `schedules list` shows all";
    for verb in ["next", "run", "pause", "resume"] {
        check(&[verb, "weekly"], EX_NOINPUT, unknown);
    }
    check(&["next", "--cron", "0 25 * * *"], EX_DATAERR, "the hour \"25\" is wrong; it takes 0 to 23 (at character 3)");
    check(
        &["next", "--cron", "0 3 * * *", "--tz", "berlin"],
        EX_DATAERR,
        "no time zone is called \"berlin\"; did you mean \"Europe/Berlin\"?",
    );
    check(
        &["next", "nightly", "--tz", "UTC"],
        EX_USAGE,
        "the schedule \"nightly\" has a zone of its own; --tz belongs to --cron",
    );
    let commas = ",".repeat(10_000);
    check(&["next", "--cron", &commas], EX_DATAERR, "a cron expression has at most 512 bytes, this one has 10000");
    check(&["next", "--cron", "0 0 30 2 *"], EX_DATAERR, "\"0 0 30 2 *\" never comes: no year has such a day");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_an_operator_asks_for_comes_besides_the_ticks() {
    let scene = Scene::new().await;
    let worker = ticking(&scene, &[]).await;
    let id = scene.stock(&["schedules", "run", "clock/nightly", "--json"]).json()["id"].take();
    wait_note(&scene, "nightly", 1).await;
    assert_eq!(notes(&scene, "nightly")[0].tick, id);
    let printed = scene.stock(&["schedules", "run", "nightly"]).stdout;
    wait_note(&scene, "nightly", 2).await;
    assert_eq!(notes(&scene, "nightly")[1].tick, printed.trim());
    stop(worker).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_that_pauses_fires_nothing_until_it_is_resumed() {
    let scene = Scene::new().await;
    let worker = ticking(&scene, &[]).await;
    let paused = scene.stock(&["schedules", "pause", "beat", "--json"]).json();
    assert_eq!(paused, json!({"changed": true, "state": "paused"}));
    assert_eq!(scene.stock(&["schedules", "pause", "beat"]).stdout, "it was paused already\n");
    // By the time at which a run that is asked for is fired, the leader knows of the pause.
    wait_run(&scene, 1).await;
    let before = notes(&scene, "fired").len();
    let state = row(&scene, "clock/beat");
    assert!(state["state"].as_str().expect("a text").starts_with("paused since "), "{state}");
    assert_eq!(state["next"], Value::Null);
    // Each is fired by a round that would fire what is due.
    for run in 2..5 {
        wait_run(&scene, run).await;
    }
    let first = notes(&scene, "nightly")[0].at;
    wait("two seconds have gone by", || async { Note::now() > first + std::time::Duration::from_secs(2) }).await;
    wait_run(&scene, 5).await;
    assert_eq!(notes(&scene, "fired").len(), before, "it paused");
    assert_eq!(scene.stock(&["schedules", "resume", "beat"]).stdout, "resumed\n");
    let resumed = Note::now();
    assert_eq!(scene.stock(&["schedules", "resume", "beat", "--json"]).json()["changed"], false);
    wait_note(&scene, "fired", before + 2).await;
    let made_up = notes(&scene, "fired").into_iter().skip(before).find(|note| {
        let tick: job_core::clock::Timestamp = note.tick.parse().expect("an instant");
        tick < resumed - std::time::Duration::from_secs(1)
    });
    assert!(made_up.is_none(), "a pause makes up for nothing: {made_up:?}");
    stop(worker).await;
}

async fn wait_run(scene: &Scene, count: usize) {
    scene.stock(&["schedules", "run", "nightly"]);
    wait_note(scene, "nightly", count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_worker_fires_and_another_one_runs() {
    let scene = Scene::new().await;
    let runner = scene.start_as(scene.scheduler(&["run", "--no-schedule"]));
    runner.wait_log("Running").await;
    let firing = ticking(&scene, &["--only-schedule"]).await;
    wait_note(&scene, "ran", 3).await;
    let (firing_id, running_id) = (firing.id(), runner.id());
    for note in Note::all(&scene) {
        let expected = if note.what == "ran" { running_id } else { firing_id };
        assert_eq!(note.process, expected, "{note:?}");
    }
    // Nobody fires any more, and the one that never does is no successor.
    stop(firing).await;
    let fired = notes(&scene, "fired").len();
    wait_note(&scene, "ran", fired).await;
    stop(runner).await;
    assert_eq!((notes(&scene, "fired").len(), notes(&scene, "ran").len()), (fired, fired));
    let both = Answer::of(scene.scheduler(&["run", "--no-schedule", "--only-schedule"]), "");
    assert_eq!(both.code, Some(EX_USAGE), "{}", both.stderr);
}
