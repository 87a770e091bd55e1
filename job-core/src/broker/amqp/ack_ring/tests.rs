//! A broker that notices each acknowledgement that covers too much, and one that comes too late.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use super::*;

const STEP: Duration = Duration::from_millis(3);

/// What a broker knows of a channel: the deliveries that are not settled, and whether we have finished them.
#[derive(Default)]
struct Broker {
    open: BTreeMap<u64, bool>,
}

impl Broker {
    fn settle(&mut self, acks: &Acks) -> Result<(), String> {
        if let Some(through) = acks.through {
            self.open.get(&through).ok_or(format!("multiple {through} names what is settled"))?;
            let later = self.open.split_off(&(through + 1));
            let covered = std::mem::replace(&mut self.open, later);
            if let Some((tag, _)) = covered.iter().find(|(_, is_finished)| !**is_finished) {
                return Err(format!("multiple {through} covers {tag}, which is unfinished"));
            }
        }
        for tag in &acks.alone {
            match self.open.remove(tag) {
                Some(true) => {}
                Some(false) => return Err(format!("{tag} is acknowledged, and unfinished")),
                None => return Err(format!("{tag} is acknowledged, and settled")),
            }
        }
        Ok(())
    }

    fn finish(&mut self, mark: Mark, is_done: bool) -> Nudge {
        if is_done {
            self.open.insert(mark.tag(), true);
            mark.done()
        } else {
            self.open.remove(&mark.tag());
            mark.gone()
        }
    }
}

/// Finishes deliveries in a random order, some of them much later than others, and watches what is acknowledged.
/// `tamper` may change it.
fn run(seed: u64, tamper: fn(Acks, &Broker) -> Acks) -> Result<(), String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let window = random.usize(1..1200);
    let (mut issuer, mut collector) = ack_ring(window);
    let (mut broker, mut marks, mut now) = (Broker::default(), Vec::new(), Instant::now());
    let (mut tag, mut waits_since) = (0, BTreeMap::new());
    let slow = random.u64(2..400);
    for _ in 0..600 {
        for _ in 0..random.usize(..40) {
            if broker.open.len() < window {
                tag += 1;
                broker.open.insert(tag, false);
                marks.push(issuer.issue(tag));
            }
        }
        for _ in 0..random.usize(..40).min(marks.len()) {
            let at = random.usize(..marks.len());
            // Some are slow: they stay until the end.
            if !marks[at].tag().is_multiple_of(slow) {
                let mark = marks.swap_remove(at);
                waits_since.insert(mark.tag(), now);
                let _ = broker.finish(mark, random.u8(..) > 25);
            }
        }
        now += STEP;
        let acks = tamper(collector.collect(now), &broker);
        broker.settle(&acks)?;
        waits_since.retain(|tag, _| broker.open.contains_key(tag));
        if let Some((tag, since)) = waits_since.iter().find(|(_, since)| now - **since > PATIENCE + STEP * 2) {
            return Err(format!("{tag} is finished and waits for {:?}", now - *since));
        }
    }
    random.shuffle(&mut marks);
    marks.drain(..).for_each(|mark| _ = broker.finish(mark, true));
    broker.settle(&collector.flush(now))?;
    match (broker.open.first_key_value(), collector.segments.len()) {
        // The latest segment is not full.
        (None, 0 | 1) => Ok(()),
        (left, segments) => Err(format!("{left:?} is never acknowledged, {segments} segments are kept")),
    }
}

#[test]
fn no_order_makes_it_acknowledge_too_much_too_late_or_nothing() {
    let seed = fastrand::u64(..);
    for round in 0..50 {
        run(seed.wrapping_add(round), |acks, _| acks).unwrap_or_else(|error| panic!("seed {seed}+{round}: {error}"));
    }
}

#[test]
fn one_that_acknowledges_over_a_gap_or_too_often_is_caught() {
    let over_a_gap = |acks: Acks, broker: &Broker| {
        let last = broker.open.iter().rev().find(|(_, is_finished)| **is_finished).map(|(tag, _)| *tag);
        Acks { through: last, alone: Vec::new(), ..acks }
    };
    let twice = |mut acks: Acks, _: &Broker| {
        acks.alone.extend(acks.alone.first().copied().or(acks.through));
        acks
    };
    let what_is_gone = |acks: Acks, _: &Broker| Acks { through: acks.through.map(|tag| tag + 1), ..acks };
    let never_alone = |acks: Acks, _: &Broker| Acks { alone: Vec::new(), ..acks };
    for (mutant, expected) in [
        (over_a_gap as fn(Acks, &Broker) -> Acks, "which is unfinished"),
        (twice, "and settled"),
        (what_is_gone, "multiple"),
        (never_alone, "waits for"),
    ] {
        let errors: Vec<String> = (0..50).filter_map(|seed| run(seed, mutant).err()).collect();
        assert!(errors.iter().any(|error| error.contains(expected)), "{expected}: {errors:?}");
    }
}

fn marks(window: usize, count: u64) -> (Vec<Option<Mark>>, Collector) {
    let (mut issuer, collector) = ack_ring(window);
    ((1..=count).map(|tag| Some(issuer.issue(tag))).collect(), collector)
}

fn finish(marks: &mut [Option<Mark>], tags: impl IntoIterator<Item = usize>) {
    for tag in tags {
        let _ = marks[tag - 1].take().unwrap().done();
    }
}

#[test]
fn a_finished_prefix_is_acknowledged_at_once() {
    let (mut marks, mut collector) = marks(1000, 600);
    finish(&mut marks, 1..=550);
    let expected = Acks { through: Some(550), ..Acks::default() };
    assert_eq!(collector.collect(Instant::now()), expected);
    assert_eq!(collector.collect(Instant::now()), Acks::default());
}

#[test]
fn those_behind_a_long_one_wait_for_a_moment_and_then_go_alone() {
    let (mut marks, mut collector) = marks(1000, 600);
    let start = Instant::now();
    finish(&mut marks, [1, 3, 600]);
    let expected = Acks { through: Some(1), alone: Vec::new(), look_again: Some(PATIENCE) };
    assert_eq!(collector.collect(start), expected);
    let soon = collector.collect(start + PATIENCE / 5);
    assert_eq!(soon, Acks { look_again: Some(PATIENCE * 4 / 5), ..Acks::default() });
    let late = collector.collect(start + PATIENCE);
    assert_eq!(late, Acks { alone: vec![3, 600], ..Acks::default() });
    // What went alone is not named again when the long one is done.
    finish(&mut marks, [2]);
    assert_eq!(collector.collect(start + PATIENCE), Acks { through: Some(2), ..Acks::default() });
    finish(&mut marks, 4..=599);
    assert_eq!(collector.collect(start + PATIENCE), Acks { through: Some(599), ..Acks::default() });
}

#[test]
fn one_that_was_given_back_is_passed_over_and_not_named() {
    let (mut marks, mut collector) = marks(1000, 4);
    finish(&mut marks, [1]);
    let _ = marks[1].take().unwrap().gone();
    assert_eq!(collector.collect(Instant::now()), Acks { through: Some(1), ..Acks::default() });
    let _ = marks[2].take().unwrap().gone();
    finish(&mut marks, [4]);
    assert_eq!(collector.collect(Instant::now()), Acks { through: Some(4), ..Acks::default() });
}

#[test]
fn half_a_window_that_waits_goes_at_once() {
    let (mut marks, mut collector) = marks(100, 100);
    finish(&mut marks, 2..=50);
    assert!(collector.collect(Instant::now()).alone.is_empty());
    finish(&mut marks, [51]);
    assert_eq!(collector.collect(Instant::now()).alone.len(), 50);
}

#[test]
fn a_flush_waits_for_nothing() {
    let (mut marks, mut collector) = marks(1000, 3);
    finish(&mut marks, [1, 3]);
    assert_eq!(collector.flush(Instant::now()), Acks { through: Some(1), alone: vec![3], look_again: None });
}

#[test]
fn a_long_job_keeps_no_more_than_its_own_segment() {
    let (mut issuer, mut collector) = ack_ring(1000);
    let long = issuer.issue(1);
    let mut now = Instant::now();
    for tag in 2..=1_000_000 {
        let _ = issuer.issue(tag).done();
        if tag % 1000 == 0 {
            now += PATIENCE;
            collector.collect(now);
        }
    }
    assert!(collector.segments.len() <= 3, "{} segments", collector.segments.len());
    assert_eq!(long.done(), Nudge::First);
    assert_eq!(collector.collect(now), Acks { through: Some(1), ..Acks::default() });
}

#[test]
fn the_collector_is_told_of_the_first_and_of_a_full_batch() {
    let (mut issuer, mut collector) = ack_ring(32);
    let mut tags = 1..;
    let mut done = || issuer.issue(tags.next().unwrap()).done();
    assert_eq!([done(), done(), done(), done(), done()], [Nudge::First, Nudge::No, Nudge::No, Nudge::Full, Nudge::No]);
    collector.collect(Instant::now());
    assert_eq!(done(), Nudge::First);
    let (mut issuer, _collector) = ack_ring(1);
    assert_eq!(issuer.issue(1).done(), Nudge::Full);
}

#[test]
fn marks_of_many_threads_are_all_seen() {
    const COUNT: u64 = 100_000;
    let (mut issuer, mut collector) = ack_ring(COUNT.try_into().unwrap());
    let mut marks: Vec<Mark> = (1..=COUNT).map(|tag| issuer.issue(tag)).collect();
    fastrand::shuffle(&mut marks);
    let share = marks.len() / 8;
    let shares: Vec<Vec<Mark>> = (0..8).map(|_| marks.split_off(marks.len() - share)).collect();
    let finished: Vec<AtomicBool> = (0..=COUNT).map(|_| AtomicBool::new(false)).collect();
    let is_finished = |tag: u64| finished[usize::try_from(tag).unwrap()].load(Ordering::Acquire);
    let mut broker = Broker { open: (1..=COUNT).map(|tag| (tag, false)).collect() };
    let mut settle = |acks: Acks| {
        let through = acks.through.unwrap_or(0);
        broker.open.range_mut(..=through).for_each(|(tag, is)| *is = is_finished(*tag));
        acks.alone.iter().for_each(|tag| _ = broker.open.insert(*tag, is_finished(*tag)));
        broker.settle(&acks).unwrap();
        broker.open.len()
    };
    let work = |share: Vec<Mark>| {
        for mark in share {
            finished[usize::try_from(mark.tag()).unwrap()].store(true, Ordering::Release);
            let _ = mark.done();
        }
    };
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = shares.into_iter().map(|share| scope.spawn(move || work(share))).collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            settle(collector.collect(Instant::now()));
        }
    });
    assert_eq!(settle(collector.flush(Instant::now())), 0, "some are never acknowledged");
}
