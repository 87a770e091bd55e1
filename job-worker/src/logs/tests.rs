//! Captures what the observer writes through the real subscriber, whole lines at a time.

use std::io::{self, Read, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use job_core::envelope::DeathReason;
use job_core::name::{JobId, Kind, QueueName};
use job_core::observation::Phase;
use serde_json::{Value, json};

use super::*;

#[derive(Clone, Default)]
struct Capture(Arc<Mutex<Vec<u8>>>);

impl Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns what was logged while `act` ran.
fn captured(format: LogFormat, filter: &str, act: impl FnOnce()) -> String {
    let capture = Capture::default();
    let writer = capture.clone();
    let subscriber = format::subscriber(format, parse_filter(filter).unwrap(), false, move || writer.clone());
    tracing::subscriber::with_default(subscriber, act);
    String::from_utf8(capture.0.lock().unwrap().clone()).unwrap()
}

/// Returns the lines without their timestamps.
fn text(filter: &str, act: impl FnOnce()) -> Vec<String> {
    let lines = captured(LogFormat::Text, filter, act);
    lines.lines().map(|line| line.split_once(' ').unwrap().1.trim_start().into()).collect()
}

fn with_run(id: &str, act: impl FnOnce(Run<'_>)) {
    let queue = QueueName::parse("mail").unwrap();
    let id = JobId::parse(id).unwrap();
    act(Run { queue: &queue, kind: "welcome", id: &id, sequence: 0, attempt: 2 });
}

fn finish(outcome: FinishedOutcome, error: Option<&str>, back_at: Option<&str>) {
    with_run("job-1", |run| {
        LogObserver.observe(&Observation::Finished {
            run,
            outcome,
            duration: Duration::from_micros(1_500),
            error,
            back_at: back_at.map(|at| at.parse().unwrap()),
        });
    });
}

fn everything() {
    let kind = Kind::parse("welcome").unwrap();
    with_run("job-1", |run| {
        LogObserver.observe(&Observation::Phase { phase: Phase::Running, detail: "takes jobs of \"mail\"" });
        LogObserver.observe(&Observation::Enqueued { queue: run.queue, kind: &kind, id: run.id });
        LogObserver.observe(&Observation::Started { run, wait: Duration::from_millis(20) });
        let back_at = "2026-01-01T12:01:00Z".parse().unwrap();
        LogObserver.observe(&Observation::Parked { run, reason: "no handler", back_at });
        let error = Error::lost("the delivery is gone").caused_by("connection closed");
        LogObserver.observe(&Observation::SettleFailed { run, error: &error });
        let what = "holds its thread";
        LogObserver.observe(&Observation::Overdue { run, duration: Duration::from_secs(3), what });
        LogObserver.observe(&Observation::ComponentFailed { component: "intake", error: "disk full", failures: 2 });
        LogObserver.observe(&Observation::Phase { phase: Phase::Stopped, detail: "" });
    });
    finish(FinishedOutcome::Completed, None, None);
    finish(FinishedOutcome::Retried, Some("no route"), Some("2026-01-01T12:00:00.5Z"));
    finish(FinishedOutcome::Dead(DeathReason::Attempts), Some("no route"), None);
}

#[test]
fn info_shows_what_an_operator_needs() {
    assert_eq!(
        text("info", everything),
        [
            r#"INFO job_worker::logs: worker entered a phase phase=Running detail="takes jobs of \"mail\"""#,
            r#"WARN job_worker::logs: job put aside without a run queue="mail" kind="welcome" id=job-1 attempt=2 reason="no handler" back_at=2026-01-01T12:01:00Z"#,
            r#"WARN job_worker::logs: outcome not recorded; the job may run again queue="mail" kind="welcome" id=job-1 attempt=2 error=the delivery is gone: connection closed"#,
            r#"WARN job_worker::logs: run is overdue queue="mail" kind="welcome" id=job-1 attempt=2 what="holds its thread" seconds=3.0"#,
            r#"ERROR job_worker::logs: a part of the worker failed component="intake" error="disk full" failures=2"#,
            r#"INFO job_worker::logs: worker entered a phase phase=Stopped"#,
            r#"WARN job_worker::logs: run failed; the job comes back queue="mail" kind="welcome" id=job-1 attempt=2 error="no route" back_at=2026-01-01T12:00:00.500Z seconds=0.0015"#,
            r#"ERROR job_worker::logs: job is dead queue="mail" kind="welcome" id=job-1 attempt=2 reason="attempts" error="no route" seconds=0.0015"#,
        ]
    );
}

#[test]
fn debug_adds_what_went_well() {
    let lines = text("debug", everything);
    let added: Vec<&str> = lines.iter().map(String::as_str).filter(|line| line.starts_with("DEBUG")).collect();
    assert_eq!(
        added,
        [
            r#"DEBUG job_worker::logs: job enqueued queue="mail" kind="welcome" id=job-1"#,
            r#"DEBUG job_worker::logs: run started queue="mail" kind="welcome" id=job-1 attempt=2 wait=0.02"#,
            r#"DEBUG job_worker::logs: run finished queue="mail" kind="welcome" id=job-1 attempt=2 outcome="completed" seconds=0.0015"#,
        ]
    );
}

#[test]
fn json_has_one_flat_object_a_line() {
    let lines = captured(LogFormat::Json, "info", || {
        finish(FinishedOutcome::Retried, Some("no\r\n\x1b]0;route"), Some("2026-01-01T12:00:00Z"));
    });
    assert_eq!(lines.lines().count(), 1);
    let mut line: Value = serde_json::from_str(&lines).unwrap();
    let timestamp = line.as_object_mut().unwrap().remove("timestamp");
    assert!(timestamp.is_some_and(|at| at.as_str().unwrap().parse::<Timestamp>().is_ok()));
    let expected = json!({
        "level": "WARN", "target": "job_worker::logs", "message": "run failed; the job comes back",
        "queue": "mail", "kind": "welcome", "id": "job-1", "attempt": 2,
        "error": "no\r\n\x1b]0;route", "back_at": "2026-01-01T12:00:00Z", "seconds": 0.0015,
    });
    assert_eq!(line, expected);
}

#[test]
fn hostile_text_cannot_forge_lines_or_drive_a_terminal() {
    let hostile = "x\x1b]0;owned\x07\r\n2026-01-01 INFO all is well \u{202e}txt.exe";
    let escaped = r"x\u{1b}]0;owned\u{7}\r\n2026-01-01 INFO all is well \u{202e}txt.exe";
    let lines = text("info", || {
        finish(FinishedOutcome::Dead(DeathReason::Discarded), Some(hostile), None);
        with_run("id\u{202e}1", |run| {
            let error = Error::lost(hostile);
            LogObserver.observe(&Observation::SettleFailed { run: Run { kind: hostile, ..run }, error: &error });
        });
        tracing::info!("an application's event: {hostile}");
    });
    assert_eq!(
        lines,
        [
            format!(
                r#"ERROR job_worker::logs: job is dead queue="mail" kind="welcome" id=job-1 attempt=2 reason="discarded" error="{escaped}" seconds=0.0015"#
            ),
            format!(
                r#"WARN job_worker::logs: outcome not recorded; the job may run again queue="mail" kind="{escaped}" id=id\u{{202e}}1 attempt=2 error={escaped}"#
            ),
            format!("INFO job_worker::logs::tests: an application's event: {escaped}"),
        ]
    );
}

#[test]
fn a_filter_that_cannot_be_read_names_the_fix() {
    let error = parse_filter("job_worker=loud").unwrap_err();
    assert!(error.starts_with(r#"log filter "job_worker=loud" cannot be read: "#), "{error}");
    assert!(error.ends_with(r#"; write it like "info,job_worker=debug""#), "{error}");
    assert_eq!(parse_filter(" ").unwrap().to_string(), "lapin=off,info");
}

/// Runs itself as a child whose stderr is closed before it logs.
#[test]
fn a_closed_stderr_loses_lines_and_nothing_else() {
    const CHILD: &str = "JOB_WORKER_TEST_CLOSED_STDERR";
    if std::env::var_os(CHILD).is_some() {
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
        init(LogFormat::Text, Some("info")).unwrap();
        everything();
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "logs::tests::a_closed_stderr_loses_lines_and_nothing_else", "--nocapture"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stderr.take());
    drop(child.stdin.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "the child ran this test");
}
