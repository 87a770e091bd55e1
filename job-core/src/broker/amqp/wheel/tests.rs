//! What must hold of the wheel as a whole, whatever goes wrong; and that these tests notice a wheel which is broken.

mod simulation;

use crate::broker::amqp::wheel::geometry::{Geometry, V1};

use simulation::{Faults, Flaws, Outcome, Plan, World};

const SECOND: i64 = 1000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// Clocks as far apart as the guard allows for: two pumps, or a pump and a producer, differ by 6 s.
const SKEW: Faults = Faults {
    skew_ms: 3 * SECOND,
    freeze: 0.0,
    restart: 0.0,
    slowness: 0.0,
    refusal: 0.0,
    tear: 0.0,
    step: 0.0,
    outage: 0.0,
};

/// All that can happen to pumps whose clocks are right. For five hours or more: a few outages, hundreds of pauses, restarts and
/// slow looks.
const ROUGH: Faults =
    Faults { freeze: 0.01, restart: 0.01, slowness: 0.001, refusal: 0.05, tear: 0.05, outage: 0.0004, ..SKEW };

fn plan(seed: u64) -> Plan {
    Plan {
        seed,
        geometry: V1,
        pumps: 3,
        jobs: 1000,
        span_ms: HOUR,
        delay_max_ms: HOUR,
        faults: Faults::default(),
        flaws: Flaws::default(),
        calm_after_ms: 0,
        patience_ms: HOUR,
        is_leaping: false,
    }
}

/// Plans days in which this happens, and calm ones after them.
fn rough_plan(seed: u64, faults: Faults) -> Plan {
    let span_ms = 6 * HOUR;
    Plan { faults, span_ms, delay_max_ms: 8 * HOUR, calm_after_ms: 4 * HOUR, patience_ms: 4 * HOUR, ..plan(seed) }
}

/// Asserts what holds whatever happens, save that clocks are wrong by any amount.
fn check(plan: Plan) -> Outcome {
    let seed = plan.seed;
    let outcome = World::run(plan);
    assert_eq!((outcome.stuck, outcome.is_endless), (0, false), "every job moves; seed {seed}: {outcome:?}");
    assert_eq!(outcome.early, 0, "none leaves early by its pump's clock; seed {seed}: {outcome:?}");
    assert_eq!(outcome.circles, 0, "no queue publishes into itself; seed {seed}: {outcome:?}");
    assert!(outcome.duplicates <= outcome.torn, "only a pump that dies duplicates; seed {seed}: {outcome:?}");
    outcome
}

/// Asserts what holds while nothing goes wrong but that clocks differ.
fn check_calm(plan: Plan, late_max_ms: i64) {
    let seed = plan.seed;
    let outcome = check(plan);
    assert!(outcome.excess_hops <= 0, "a hop a level, and one for each 20 hours; seed {seed}: {outcome:?}");
    assert_eq!((outcome.held, outcome.rescues), (0, 0), "no job is met in the wrong slot; seed {seed}: {outcome:?}");
    assert!(outcome.late_ms <= late_max_ms, "seed {seed}: {outcome:?}");
}

#[test]
fn while_nothing_goes_wrong_jobs_are_late_by_a_slot_at_most() {
    for seed in 0..2 {
        // A slot, and the twentieth of one by which ticks come after its beginning; looks and moves take their time.
        check_calm(plan(seed), SECOND + SECOND / 20 + 50);
    }
}

#[test]
fn delays_of_years_pass_on_time() {
    let years = |seed| Plan { jobs: 100, span_ms: 365 * DAY, delay_max_ms: 1100 * DAY, is_leaping: true, ..plan(seed) };
    check_calm(years(3), SECOND + SECOND / 20 + 50);
}

#[test]
fn clocks_that_differ_make_jobs_late_by_the_difference_and_a_slot() {
    for seed in 0..2 {
        check_calm(Plan { faults: SKEW, ..plan(seed) }, 3 * SECOND + SECOND + SECOND / 20 + 50);
    }
}

#[test]
fn pauses_deaths_slow_and_absent_brokers_cost_time_and_nothing_else() {
    for seed in 0..2 {
        let outcome = check(rough_plan(seed, ROUGH));
        assert!(outcome.rescues > 0 && outcome.torn > 0, "a sweep found what its turn had missed; {outcome:?}");
        assert!(outcome.excess_hops <= 0, "a hop a level, and one for each 20 hours; seed {seed}: {outcome:?}");
        assert!(outcome.late_calm_ms <= 5 * SECOND, "all is as before once it is over; seed {seed}: {outcome:?}");
    }
}

#[test]
fn years_of_faults_end_well() {
    let faults = Faults { outage: 0.001, ..ROUGH };
    let (span_ms, calm_after_ms) = (500 * DAY, 300 * DAY);
    let years = |seed| Plan { faults, span_ms, calm_after_ms, delay_max_ms: 100 * DAY, ..rough_plan(seed, ROUGH) };
    for seed in 0..2 {
        let outcome = check(Plan { jobs: 200, is_leaping: true, patience_ms: 2 * DAY, ..years(seed) });
        assert!(outcome.excess_hops <= 0, "seed {seed}: {outcome:?}");
    }
}

#[test]
fn clocks_that_are_set_lose_nothing_and_end_in_no_circle() {
    for seed in 0..2 {
        let outcome = check(rough_plan(seed, Faults { step: 0.001, ..ROUGH }));
        // Two pumps whose clocks are up to a minute apart push a job to and fro, until its turn has come for both.
        assert!(outcome.excess_hops <= 30, "seed {seed}: {outcome:?}");
        assert!(outcome.late_calm_ms <= 5 * SECOND, "seed {seed}: {outcome:?}");
    }
}

#[test]
fn a_single_pump_and_a_crowd_turn_the_wheel_alike() {
    for pumps in [1, 30] {
        check_calm(Plan { pumps, jobs: 300, span_ms: HOUR / 2, delay_max_ms: HOUR / 4, ..plan(9) }, SECOND + 150);
    }
}

/// The wheel as one would draw it first: as many slots as the ratio, a window behind, and no guard.
const NAIVE: Geometry = Geometry { slots: 32, ratio: 32, horizon: 31, behind: 8, guard: 0, ..V1 };

/// The one in which the livelock was seen on a real broker.
const SEEN: Geometry = Geometry { slots: 32, ratio: 20, horizon: 23, behind: 8, guard: 0, ..V1 };

const NAIVE_PUMP: Flaws = Flaws { is_republishing: true, is_trusting: false, is_sweepless: false, is_widening: true };

/// Looks that take up to 20 s, as they did while queues were made.
const SLOW: Faults = Faults { slowness: 0.01, ..SKEW };

#[test]
fn a_naive_wheel_with_a_naive_pump_goes_round_without_end() {
    for geometry in [NAIVE, SEEN] {
        let plan = Plan { jobs: 300, geometry, flaws: NAIVE_PUMP, ..rough_plan(1, SLOW) };
        let outcome = World::run(plan.clone());
        assert!(outcome.circles > 1000 && outcome.excess_hops > 100, "{geometry:?}: {outcome:?}");
        check(Plan { geometry: V1, flaws: Flaws::default(), ..plan });
    }
}

#[test]
fn a_pump_that_publishes_into_its_own_queue_goes_round_in_a_circle() {
    let flaws = Flaws { is_republishing: true, ..Flaws::default() };
    let outcome = World::run(Plan { flaws, ..rough_plan(1, Faults { step: 0.001, ..ROUGH }) });
    assert!(outcome.circles > 0, "{outcome:?}");
}

#[test]
fn a_pump_that_trusts_the_slot_delivers_early() {
    let flaws = Flaws { is_trusting: true, ..Flaws::default() };
    let outcome = World::run(Plan { flaws, ..rough_plan(1, Faults { step: 0.001, ..ROUGH }) });
    assert!(outcome.early > 0, "{outcome:?}");
}

#[test]
fn a_pump_that_never_sweeps_leaves_jobs_behind() {
    let flaws = Flaws { is_sweepless: true, ..Flaws::default() };
    let outcome = World::run(Plan { flaws, ..rough_plan(1, ROUGH) });
    assert!(outcome.stuck > 0, "{outcome:?}");
}
