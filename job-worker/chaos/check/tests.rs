//! Made-up histories: a good one, and for each rule one that breaks it and nothing else.

use crate::check::tale::{SECOND, Tale, tale, turn};
use crate::check::{Report, Rule};
use crate::record::{Event, Fault, Settled, Turn};

#[test]
fn a_good_run_has_no_violation() {
    let tale = tale()
        .job("a", 1)
        .done("w", "a", 1)
        .job("b", 3)
        .failed("w", "b", 1)
        .failed("v", "b", 2)
        .done("w", "b", 3)
        .invoked("c", true, 1)
        .stored("c")
        .started("w", "c", 1)
        .settled("w", "c", 1, Settled::Gone)
        .note("director", Event::Dead { id: "c".into() })
        .note("w", Event::Draining);
    let report = tale.check(&[]);
    assert_eq!(report, Report { confirmed: 3, executed: 3, ..Report::default() });
    assert_eq!(report.unexplained(), 0);
}

#[test]
fn a_stored_job_without_an_end_is_lost() {
    let never_ran = tale().job("a", 1).check(&[Rule::Lost]);
    assert_eq!((never_ran.count(Rule::Lost), never_ran.unexplained()), (1, 0));
    tale().job("a", 1).started("w", "a", 1).check(&[Rule::Lost]);
    // Nobody knew that it was stored, but it ran.
    tale().invoked("a", false, 1).started("w", "a", 1).check(&[Rule::Lost]);
    // It may never have been stored.
    tale().invoked("a", false, 1).check(&[]);
}

#[test]
fn what_follows_a_stored_job_must_end_too() {
    let link = |tale: Tale| tale.invoked("a", false, 1).link("l", "a");
    link(tale()).stored("l").done("w", "l", 1).check(&[Rule::Lost]);
    link(tale()).stored("l").done("w", "l", 1).done("w", "a", 1).check(&[]);
    link(tale()).check(&[]);
}

#[test]
fn what_was_refused_or_never_published_must_not_run() {
    let rejected = Event::Rejected { id: "a".into(), error: "no".into() };
    let refused = tale().invoked("a", false, 1).note("p", rejected);
    assert_eq!(refused.clone().done("w", "a", 1).check(&[Rule::Phantom, Rule::Rejected]).count(Rule::Phantom), 1);
    refused.check(&[Rule::Rejected]);
    tale().done("w", "a", 1).check(&[Rule::Phantom]);
    // Refused at first, and stored by a later try.
    let error = Event::Unconfirmed { id: "a".into() };
    tale().invoked("a", false, 1).note("p", error).done("w", "a", 1).check(&[]);
}

#[test]
fn attempts_have_no_gap_and_are_as_many_as_the_script_says() {
    let gap = tale().job("a", 3).failed("w", "a", 1).done("w", "a", 3).check(&[Rule::Attempts]);
    assert_eq!((gap.count(Rule::Attempts), gap.unexplained()), (1, 0));
    tale().job("a", 2).done("w", "a", 2).check(&[Rule::Attempts]);
    tale().job("a", 2).done("w", "a", 1).check(&[Rule::Attempts]);
    tale().job("a", 2).failed("w", "a", 1).done("w", "a", 2).check(&[]);
}

#[test]
fn a_turn_is_not_begun_again_after_its_end() {
    tale().job("a", 1).failed("w", "a", 1).done("v", "a", 1).check(&[Rule::Duplicate, Rule::Attempts]);
    // Given back, it may: but not without a reason.
    let released = tale().job("a", 1).started("w", "a", 1).settled("w", "a", 1, Settled::Released);
    released.done("v", "a", 1).check(&[Rule::Duplicate]);
}

#[test]
fn a_job_ends_as_its_script_says() {
    let died = tale().job("a", 1).started("w", "a", 1).note("director", Event::Dead { id: "a".into() });
    died.check(&[Rule::Ending]);
    tale().invoked("a", true, 1).stored("a").done("w", "a", 1).check(&[Rule::Ending]);
}

#[test]
fn a_duplicate_needs_a_kill_that_cut_off_its_first_run() {
    let killed = tale().job("a", 1).started("w", "a", 1).fault(Fault::Kill, "w").done("v", "a", 1).check(&[]);
    assert_eq!((killed.faults, killed.duplicates, killed.void.len()), (1, 1, 0));
    let calm = tale().job("a", 1).started("w", "a", 1).done("v", "a", 1);
    assert_eq!(calm.check(&[Rule::Duplicate]).unexplained(), 1);
    // Somebody else was killed.
    calm.clone().fault(Fault::Kill, "v").check(&[Rule::Duplicate]);
    // A drain explains nothing.
    calm.fault(Fault::Drain, "w").check(&[Rule::Duplicate]);
    // One kill explains one run more, not two.
    let twice = tale().job("a", 1).started("w", "a", 1).fault(Fault::Kill, "w").started("v", "a", 1);
    twice.done("u", "a", 1).check(&[Rule::Duplicate]);
    // What was settled before the kill was not cut off.
    let settled = tale().job("a", 1).done("w", "a", 1).started("w", "b", 1).fault(Fault::Kill, "w");
    settled.done("v", "a", 1).check(&[Rule::Duplicate, Rule::Attempts, Rule::Phantom]);
}

#[test]
fn a_theft_explains_what_its_victim_ran_then_and_is_fenced() {
    let robbed = tale().job("a", 1).started("w", "a", 1).fault(Fault::Steal, "w").started("v", "a", 1).effect("v", "a");
    let unrecorded = Event::Unrecorded { turn: turn("a", 1) };
    let fenced = robbed.clone().note("w", unrecorded.clone()).settled("v", "a", 1, Settled::Gone);
    fenced.check(&[]);
    // It begins late what the heir is done with, and cannot record it.
    let late = tale().job("a", 1).fault(Fault::Steal, "w").done("v", "a", 1).started("w", "a", 1).effect("w", "a");
    late.note("w", unrecorded.clone()).check(&[]);
    // Both recorded.
    let both = robbed.clone().settled("w", "a", 1, Settled::Gone).settled("v", "a", 1, Settled::Gone);
    both.check(&[Rule::Fence]);
    // The thief's end is refused.
    robbed.settled("w", "a", 1, Settled::Gone).note("v", unrecorded).check(&[Rule::Unrecorded]);
    // Long after the theft, its victim knows.
    let late = tale().job("a", 1).fault(Fault::Steal, "w").later(9 * SECOND).started("w", "a", 1);
    late.done("v", "a", 1).check(&[Rule::Duplicate]);
}

#[test]
fn nothing_starts_after_a_drain_signal() {
    let drained = tale().job("a", 1).note("w", Event::Draining);
    drained.clone().done("w", "a", 1).check(&[]);
    drained.clone().later(SECOND).done("w", "a", 1).check(&[Rule::Drain]);
    drained.later(SECOND).done("v", "a", 1).check(&[]);
}

#[test]
fn other_bytes_than_were_enqueued_are_seen() {
    let started = Event::Started { turn: turn("a", 1), hash: 8 };
    let tale = tale().job("a", 1).note("w", started).effect("w", "a").settled("w", "a", 1, Settled::Gone);
    tale.check(&[Rule::Payload]);
}

#[test]
fn what_the_director_saw_counts() {
    let died = Event::Died { victim: "w".into(), status: "exit status: 70".into() };
    tale().note("director", died).check(&[Rule::Died]);
    tale().note("director", Event::Damaged { detail: "page 3".into() }).check(&[Rule::Damaged]);
    assert_eq!(
        tale().note("director", Event::Left { queue: "q".into(), count: 3 }).check(&[Rule::Left]).unexplained(),
        1
    );
    assert_eq!(tale().note("director", Event::Void { reason: "why".into() }).check(&[]).void, ["why"]);
}

#[test]
fn kills_that_strike_nobody_make_the_run_void() {
    let idle = tale().job("a", 1).done("w", "a", 1).fault(Fault::Kill, "w");
    assert_eq!(idle.check(&[]).void, ["only 0 of 1 kills and drains struck unsettled work"]);
    let idle = tale().job("a", 1).done("w", "a", 1).fault(Fault::Drain, "w");
    assert_eq!(idle.check(&[]).void.len(), 1);
    let busy = tale().job("a", 1).started("w", "a", 1).fault(Fault::Drain, "w").effect("w", "a");
    assert!(busy.settled("w", "a", 1, Settled::Gone).check(&[]).void.is_empty());
    // A producer that waits for an answer has unsettled work, too.
    assert!(tale().invoked("a", false, 1).fault(Fault::Kill, "p").check(&[]).void.is_empty());
}

/// A turn of a later life, or of one with turns.
fn in_life(id: &str, sequence: u32, attempt: u32) -> Turn {
    Turn { sequence, ..turn(id, attempt) }
}

#[test]
fn a_redrive_begins_a_new_life_of_attempts() {
    let dead = |tale: Tale, sequence, attempt| {
        let turn = in_life("a", sequence, attempt);
        tale.note("w", Event::Started { turn: turn.clone(), hash: 7 })
            .note("w", Event::Settled { turn, outcome: Settled::Gone })
    };
    let first = dead(tale().lives("a", &[2, 1]).stored("a").failed("w", "a", 1), 0, 2);
    let redriven = |tale: Tale| {
        let turn = in_life("a", 0, 2);
        tale.note("o", Event::Redriving { turn: turn.clone() }).note("o", Event::Redriven { turn })
    };
    let end = |tale: Tale, sequence, attempt| dead(tale.effect("w", "a"), sequence, attempt);
    end(redriven(first.clone()), 1, 1).check(&[]);
    // It goes on counting.
    end(redriven(first.clone()), 1, 3).check(&[Rule::Attempts]);
    end(redriven(first.clone()), 0, 3).check(&[Rule::Attempts]);
    // It ended without the life that was to follow, and it never got one.
    first.clone().effect("w", "a").check(&[Rule::Attempts]);
    redriven(first).check(&[Rule::Lost]);
}

#[test]
fn a_failure_needs_a_fault_of_the_broker_that_it_fell_into() {
    let rejected = |tale: Tale| tale.note("p", Event::Rejected { id: "a".into(), error: "no".into() });
    let unrecorded = |tale: Tale| tale.note("w", Event::Unrecorded { turn: turn("b", 1) });
    let fall = |tale: Tale| tale.fault(Fault::Broker, "broker").note("director", Event::Healed);
    let begun = tale().invoked("a", false, 1).job("b", 1).started("w", "b", 1).effect("w", "b");
    unrecorded(rejected(fall(begun.clone()))).check(&[]);
    unrecorded(rejected(begun.clone())).check(&[Rule::Rejected, Rule::Unrecorded]);
    let before = fall(unrecorded(rejected(begun.clone())).later(9 * SECOND));
    before.check(&[Rule::Rejected, Rule::Unrecorded]);
    let after = |fault: Tale| {
        let begun = fault.later(20 * SECOND).invoked("a", false, 1).job("b", 1).started("w", "b", 1).effect("w", "b");
        unrecorded(rejected(begun))
    };
    after(fall(tale())).check(&[Rule::Rejected, Rule::Unrecorded]);
    // One that never healed excuses all that follows.
    after(tale().fault(Fault::Broker, "broker")).check(&[]);
    // A kill of another process excuses nothing.
    unrecorded(begun.fault(Fault::Kill, "v")).check(&[Rule::Unrecorded]);
}

#[test]
fn who_has_not_begun_may_end_while_the_broker_is_away() {
    let died = |tale: Tale| tale.note("director", Event::Died { victim: "w".into(), status: "exit status: 69".into() });
    let falls = |tale: Tale| tale.fault(Fault::Broker, "broker").later(SECOND);
    died(falls(tale())).note("director", Event::Healed).check(&[]);
    died(falls(tale().job("a", 1).done("w", "a", 1))).note("director", Event::Healed).check(&[Rule::Died]);
    died(tale()).check(&[Rule::Died]);
    died(falls(tale()).note("director", Event::Healed).later(20 * SECOND)).check(&[Rule::Died]);
}

#[test]
fn who_worked_works_again_soon_after_the_broker_is_back() {
    let worked = tale().job("a", 1).done("w", "a", 1).fault(Fault::Broker, "broker").later(8 * SECOND);
    let back = worked.note("director", Event::Healed).job("b", 1);
    back.clone().later(10 * SECOND).done("w", "b", 1).check(&[]);
    back.clone().later(20 * SECOND).done("w", "b", 1).check(&[Rule::Idle]);
    // Nor does it help that another one of its kind does the work, later; one of another kind has another queue.
    let worked = tale().job("a", 1).done("relay-1", "a", 1).fault(Fault::Broker, "broker").later(8 * SECOND);
    let others = worked.note("director", Event::Healed).job("b", 1).later(20 * SECOND);
    others.clone().done("relay-2", "b", 1).check(&[Rule::Idle]);
    others.done("worker-1", "b", 1).check(&[]);
    // One that was killed meanwhile, or told to stop, need not.
    back.clone().later(5 * SECOND).fault(Fault::Kill, "w").later(SECOND).done("v", "b", 1).check(&[]);
    back.clone().later(5 * SECOND).note("w", Event::Draining).done("v", "b", 1).check(&[]);
    // Nor can anybody for whom the broker fell again.
    let again =
        back.later(5 * SECOND).fault(Fault::Broker, "broker").later(20 * SECOND).note("director", Event::Healed);
    again.clone().later(5 * SECOND).done("w", "b", 1).check(&[]);
    again.later(20 * SECOND).done("w", "b", 1).check(&[Rule::Idle]);
}
