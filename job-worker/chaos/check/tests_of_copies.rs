//! Made-up histories of a broker that stores what follows a run before it forgets the run: which copies of a job a fault
//! explains, and beside each what it does not.

use crate::check::Rule;
use crate::check::tale::{SECOND, Tale, tale, turn};
use crate::record::{Event, Fault, Settled, Turn};

/// That broker, for whose clients there is no queue yet.
fn fresh() -> Tale {
    tale().note("director", Event::Terms { is_atomic: false })
}

/// The beginning of most: that broker, and somebody who works.
fn loose() -> Tale {
    fresh().job("first", 1).done("x", "first", 1).note("x", Event::Draining)
}

fn broker_falls(tale: Tale) -> Tale {
    tale.fault(Fault::Broker, "broker").later(SECOND).note("director", Event::Healed)
}

/// Runs the first two attempts of a job, the second to its end.
fn both(tale: Tale, process: &str) -> Tale {
    tale.failed(process, "a", 1).done(process, "a", 2)
}

#[test]
fn without_a_fault_there_is_no_copy() {
    both(loose().job("a", 2), "w").check(&[]);
    both(both(loose().job("a", 2), "w"), "v").check(&[Rule::Duplicate, Rule::Duplicate]);
    both(loose().job("a", 2).failed("w", "a", 1), "v").check(&[Rule::Duplicate]);
    loose().job("a", 1).done("w", "a", 1).fault(Fault::Drain, "w").done("v", "a", 1).check(&[Rule::Duplicate]);
}

#[test]
fn a_run_that_was_cut_off_may_have_stored_what_follows() {
    let cut = loose().job("a", 2).started("w", "a", 1).fault(Fault::Kill, "w");
    // The one that was stored, and the one of the second run.
    let forked = both(cut.clone().done("v", "a", 2), "u");
    let report = forked.check(&[]);
    assert_eq!((report.faults, report.duplicates, report.void.len()), (1, 2, 0));
    // Where both are one step, the second run alone is explained.
    let atomic = tale().job("a", 2).started("w", "a", 1).fault(Fault::Kill, "w").done("v", "a", 2);
    both(atomic, "u").check(&[Rule::Duplicate, Rule::Attempts]);
    // One fault, one copy.
    both(cut.done("v", "a", 2).done("v", "a", 2), "u").check(&[Rule::Duplicate]);
}

#[test]
fn who_moved_what_had_no_queue_may_have_died_over_it() {
    let twice = |tale: Tale| tale.fault(Fault::Kill, "u").later(60 * SECOND).done("v", "a", 1).done("w", "a", 1);
    twice(fresh().job("a", 1)).check(&[]);
    // Its queue was there: somebody worked already.
    twice(loose().job("a", 1)).check(&[Rule::Duplicate]);
    // Those of another role work on other queues.
    let struck = fresh().job("b", 1).done("worker-1", "b", 1).job("a", 1).fault(Fault::Kill, "worker-1").later(SECOND);
    struck.clone().done("relay-1", "a", 1).done("relay-1", "a", 1).check(&[]);
    struck.done("worker-2", "a", 1).done("worker-2", "a", 1).check(&[Rule::Duplicate]);
}

#[test]
fn a_copy_begins_with_the_turn_that_was_cut_off() {
    let failed = loose().job("a", 2).failed("w", "a", 1).later(9 * SECOND);
    let cut = failed.started("w", "a", 2).fault(Fault::Kill, "w");
    cut.clone().done("v", "a", 2).check(&[]);
    both(cut, "v").check(&[Rule::Duplicate]);
}

#[test]
fn an_acknowledgement_may_be_lost_with_who_has_just_given_it() {
    let done = loose().job("a", 1).done("w", "a", 1).job("b", 1).started("w", "b", 1);
    let again = |tale: Tale| tale.fault(Fault::Kill, "w").done("v", "a", 1).done("v", "b", 1);
    again(done.clone()).check(&[]);
    again(done.clone().later(2 * SECOND)).check(&[Rule::Duplicate]);
    // Another process was killed.
    done.settled("w", "b", 1, Settled::Gone)
        .effect("w", "b")
        .fault(Fault::Kill, "x")
        .done("v", "a", 1)
        .check(&[Rule::Duplicate]);
}

#[test]
fn the_victims_of_a_broker_are_all_its_clients() {
    let begun = || loose().job("a", 1).job("b", 1).started("w", "a", 1).started("v", "b", 1);
    let ends = |tale: Tale| tale.done("u", "a", 1).done("u", "b", 1);
    for fault in [Fault::Broker, Fault::Cut] {
        let struck = begun().fault(fault, "broker").note("director", Event::Healed);
        let lost = |tale: Tale, process: &str, id: &str| tale.note(process, Event::Unrecorded { turn: turn(id, 1) });
        ends(lost(lost(struck, "w", "a"), "v", "b")).check(&[]);
    }
    // Long before, and long after.
    let early = loose().job("a", 1).done("w", "a", 1).later(9 * SECOND);
    broker_falls(early).done("v", "a", 1).check(&[Rule::Duplicate]);
    let late = broker_falls(loose()).later(20 * SECOND).job("a", 1).done("w", "a", 1);
    late.done("v", "a", 1).check(&[Rule::Duplicate]);
}

#[test]
fn a_publish_without_an_answer_may_be_stored_twice() {
    let twice = |tale: Tale| both(both(tale, "w"), "v");
    twice(broker_falls(loose().invoked("a", false, 2)).stored("a").later(30 * SECOND)).check(&[]);
    let answered = loose().job("a", 2);
    twice(broker_falls(answered).later(30 * SECOND)).check(&[Rule::Duplicate, Rule::Duplicate]);
}

#[test]
fn a_broker_short_of_memory_still_takes_acknowledgements() {
    let alarmed = |tale: Tale| tale.fault(Fault::Alarm, "broker");
    let healed = |tale: Tale| tale.note("director", Event::Healed).later(30 * SECOND);
    healed(alarmed(loose().job("a", 2)).failed("w", "a", 1)).done("v", "a", 2).done("u", "a", 2).check(&[]);
    let done = alarmed(loose().job("a", 1).later(9 * SECOND)).done("w", "a", 1);
    healed(done).done("v", "a", 1).check(&[Rule::Duplicate]);
}

#[test]
fn a_job_that_waits_to_be_due_may_be_moved_twice() {
    let waiting = || loose().delayed("a").later(9 * SECOND);
    let struck = |tale: Tale| tale.job("b", 1).started("w", "b", 1).fault(Fault::Kill, "w").done("v", "b", 1);
    struck(waiting()).later(9 * SECOND).done("v", "a", 1).done("u", "a", 1).check(&[]);
    // One that still waits long afterwards was moved by somebody else.
    struck(waiting()).later(30 * SECOND).done("v", "a", 1).done("u", "a", 1).check(&[Rule::Duplicate]);
    // Unless it stood among those that were in its queue by then: it may have been moved before, and the queue was long.
    let both = |tale: Tale| tale.later(30 * SECOND).done("v", "a", 1).done("u", "a", 1);
    both(struck(waiting()).job("c", 1)).done("v", "c", 1).check(&[]);
    // Another queue was long: that of jobs which are redriven.
    let other = both(struck(waiting()).lives("c", &[1, 1]).stored("c")).done("v", "c", 1);
    other.check(&[Rule::Duplicate, Rule::Attempts]);
    both(struck(waiting()).later(20 * SECOND).job("c", 1)).done("v", "c", 1).check(&[Rule::Duplicate]);
    // One that waits in its queue is moved by nobody.
    let ready = loose().job("a", 1).later(9 * SECOND);
    struck(ready).later(9 * SECOND).done("v", "a", 1).done("u", "a", 1).check(&[Rule::Duplicate]);
    // Nor is one that has begun.
    struck(waiting().done("v", "a", 1).later(9 * SECOND)).done("u", "a", 1).check(&[Rule::Duplicate]);
    // One that has just begun may have been moved by a process that had not acknowledged it yet.
    let begun = waiting().job("b", 1).started("w", "b", 1).started("v", "a", 1);
    let ended = begun.fault(Fault::Kill, "w").effect("v", "a").settled("v", "a", 1, Settled::Gone).done("v", "b", 1);
    ended.done("u", "a", 1).check(&[]);
    // Between two attempts it waits, too.
    let between = loose().job("a", 2).failed("v", "a", 1).later(9 * SECOND);
    struck(between.clone()).later(9 * SECOND).done("v", "a", 2).done("u", "a", 2).check(&[]);
    let again = struck(between).later(9 * SECOND).failed("v", "a", 1).done("v", "a", 2).done("u", "a", 2);
    again.check(&[Rule::Duplicate]);
}

#[test]
fn each_run_of_a_link_may_store_its_follower() {
    let link = loose().invoked("a", false, 1).link("l", "a").stored("l").started("w", "l", 1);
    let killed = link.clone().fault(Fault::Kill, "w").done("v", "l", 1);
    killed.done("v", "a", 1).done("u", "a", 1).check(&[]);
    let calm = link.effect("w", "l").settled("w", "l", 1, Settled::Gone).done("v", "a", 1);
    calm.done("u", "a", 1).check(&[Rule::Duplicate]);
}

#[test]
fn a_redrive_that_was_cut_off_may_be_made_twice() {
    let next = |tale: Tale, process: &str| {
        let turn = Turn { sequence: 1, ..turn("a", 1) };
        tale.note(process, Event::Started { turn: turn.clone(), hash: 7 })
            .effect(process, "a")
            .note(process, Event::Settled { turn, outcome: Settled::Gone })
    };
    let died = loose().lives("a", &[1, 1]).stored("a").started("w", "a", 1).settled("w", "a", 1, Settled::Gone);
    let redriving = died.later(9 * SECOND).note("o", Event::Redriving { turn: turn("a", 1) });
    next(next(redriving.clone().fault(Fault::Kill, "o"), "w"), "v").check(&[]);
    let calm = redriving.clone().note("o", Event::Redriven { turn: turn("a", 1) });
    next(next(calm, "w"), "v").check(&[Rule::Duplicate]);
    // It explains nothing of the life before.
    let again = redriving.fault(Fault::Kill, "o").started("v", "a", 1).settled("v", "a", 1, Settled::Gone);
    next(again, "w").check(&[Rule::Duplicate]);
}

#[test]
fn two_copies_that_run_side_by_side_in_one_process_both_end() {
    let both = || loose().invoked("a", false, 1).started("w", "a", 1).started("w", "a", 1).effect("w", "a");
    let ended = |tale: Tale| {
        let ended = tale.settled("w", "a", 1, Settled::Gone).note("w", Event::Unrecorded { turn: turn("a", 1) });
        ended.stored("a")
    };
    ended(both().fault(Fault::Broker, "broker").note("director", Event::Healed)).check(&[]);
    // Nothing excuses the second end.
    ended(both()).check(&[Rule::Duplicate, Rule::Unrecorded]);
}

#[test]
fn each_duplicate_is_told_with_its_likely_cause() {
    let cut = loose().job("a", 2).started("w", "a", 1).fault(Fault::Kill, "w");
    let forked = both(cut.done("v", "a", 2), "u").check(&[]);
    assert_eq!(forked.causes.line().as_deref(), Some("Kill in Run 2"));
    let moved = loose().delayed("b").later(9 * SECOND).fault(Fault::Cut, "broker").note("director", Event::Healed);
    let report = moved.clone().done("v", "b", 1).done("u", "b", 1).check(&[]);
    assert_eq!(report.causes.line().as_deref(), Some("Cut in Move 1"));
    // One that no fault explains has no cause.
    assert_eq!(
        both(both(loose().job("a", 2), "w"), "v").check(&[Rule::Duplicate, Rule::Duplicate]).causes.line(),
        None
    );
    // Of two faults, the one that fell last before the run.
    let twice = moved.later(16 * SECOND).fault(Fault::Kill, "v").done("v", "b", 1).done("u", "b", 1).check(&[]);
    assert_eq!(twice.causes.line().as_deref(), Some("Kill in Move 1"));
}

#[test]
fn two_copies_that_are_redriven_side_by_side_are_told_apart() {
    let died = loose().lives("a", &[1, 1]).stored("a").started("w", "a", 1).settled("w", "a", 1, Settled::Gone);
    let begun =
        died.note("o", Event::Redriving { turn: turn("a", 1) }).note("o", Event::Redriving { turn: turn("a", 1) });
    let ends = |tale: Tale| {
        tale.note("o", Event::Redriven { turn: turn("a", 1) }).note("o", Event::Unredriven { turn: turn("a", 1) })
    };
    let cut = ends(begun.clone().fault(Fault::Cut, "broker").note("director", Event::Healed));
    cut.check(&[Rule::Lost]);
    ends(begun).check(&[Rule::Lost, Rule::Unrecorded]);
}
