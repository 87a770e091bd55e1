//! The figures, for any broker.

use std::time::Duration;

use crate::figure::{interleave, percentile, print, print_rates};
use crate::ours;
use crate::rival::{Place, Rival};
use crate::sample::{Sample, Stopwatch};
use crate::size::Size;

/// Callers at once.
const CALLERS: usize = 64;

/// Between two jobs of the figure `latency`: a hundred a second.
const EVERY: Duration = Duration::from_millis(10);

type Figure = fn(&dyn Rival, &Size);

const FIGURES: [(&str, Figure); 9] = [
    ("enqueue1", enqueue1),
    ("enqueue64", enqueue64),
    ("enqueue_many", enqueue_many),
    ("publish10", publish10),
    ("drain", drain),
    ("drain_waiting", drain_waiting),
    ("drain_1m", drain_1m),
    ("latency", latency),
    ("rss", rss),
];

/// Takes the figures of a broker that are wanted, all if nothing is, and returns how many there were.
pub(crate) fn run(rival: &dyn Rival, size: Size, wanted: &[String]) -> usize {
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|w| w == name || w == rival.name());
    let chosen: Vec<_> = figures(rival).filter(|(name, _)| is_wanted(&full_name(rival, name))).collect();
    let size = rival.size(size);
    chosen.iter().for_each(|(_, figure)| figure(rival, &size));
    chosen.len()
}

/// Returns the names of all figures.
pub(crate) fn names(rivals: &[&dyn Rival]) -> Vec<String> {
    rivals.iter().flat_map(|rival| figures(*rival).map(|(name, _)| full_name(*rival, name))).collect()
}

fn figures(rival: &dyn Rival) -> impl Iterator<Item = (&'static str, Figure)> {
    let names = rival.figures();
    FIGURES.into_iter().filter(|(name, _)| names.contains(name))
}

fn full_name(rival: &dyn Rival, figure: &str) -> String {
    format!("{}.{figure}", rival.name())
}

fn enqueue1(rival: &dyn Rival, size: &Size) {
    let jobs = size.enqueue_one;
    let raw = |place: &dyn Place| place.enqueue_one_by_one(jobs);
    enqueue(rival, size, "enqueue1", jobs, |place| ours::enqueue_one_by_one(place, jobs), raw);
}

fn enqueue64(rival: &dyn Rival, size: &Size) {
    let jobs = size.enqueue_by_64;
    let raw = |place: &dyn Place| place.enqueue_for_callers(jobs, CALLERS);
    enqueue(rival, size, "enqueue64", jobs, |place| ours::enqueue_for_callers(place, jobs, CALLERS), raw);
}

fn enqueue_many(rival: &dyn Rival, size: &Size) {
    let jobs = size.enqueue_many;
    enqueue(
        rival,
        size,
        "enqueue_many",
        jobs,
        |place| ours::enqueue_many(place, jobs),
        |place| place.enqueue_many(jobs),
    );
}

/// Events a second, each of them stored ten times.
fn publish10(rival: &dyn Rival, size: &Size) {
    let events = size.publish;
    let queues: Vec<String> = (0..10).map(|n| format!("noops.{n}")).collect();
    let raw = |place: &dyn Place| place.publish(events, &queues);
    enqueue(rival, size, "publish10", events, |place| ours::publish(place, events, &queues), raw);
}

fn enqueue(
    rival: &dyn Rival,
    size: &Size,
    name: &str,
    jobs: usize,
    ours: impl Fn(&dyn Place) -> Sample,
    raw: impl Fn(&dyn Place),
) {
    let samples = interleave(
        size.pairs,
        &mut [&mut || ours(&*rival.place()), &mut || {
            let place = rival.place();
            place.prepare(0);
            let watch = Stopwatch::start(place.server());
            raw(&*place);
            watch.stop(jobs)
        }],
    );
    print_rates(&full_name(rival, name), &samples[0], &samples[1]);
}

/// One sample of ours beside one of each way of the raw program.
fn drain(rival: &dyn Rival, size: &Size) {
    drain_all(rival, size, "drain", ours::prepare);
}

/// As [`drain`], with jobs that wait once.
fn drain_waiting(rival: &dyn Rival, size: &Size) {
    drain_all(rival, size, "drain_waiting", ours::prepare_waiting);
}

fn drain_all(rival: &dyn Rival, size: &Size, name: &str, prepare: fn(&dyn Place, usize)) {
    let mut ours = || {
        let place = rival.place();
        prepare(&*place, size.drain);
        ours::drain(&*place, size.drain)
    };
    let mut raws: Vec<_> = rival.drains().iter().map(|way| || raw_drain(rival, size.drain, way)).collect();
    let mut contenders: Vec<&mut dyn FnMut() -> Sample> = vec![&mut ours];
    contenders.extend(raws.iter_mut().map(|raw| raw as &mut dyn FnMut() -> Sample));
    let samples = interleave(size.pairs, &mut contenders);
    for (way, raw) in rival.drains().iter().zip(&samples[1..]) {
        let name = if way.is_empty() { name.to_owned() } else { format!("{name}_{way}") };
        print_rates(&full_name(rival, &name), &samples[0], raw);
    }
}

fn raw_drain(rival: &dyn Rival, jobs: usize, way: &str) -> Sample {
    let place = rival.place();
    place.prepare(jobs);
    let watch = Stopwatch::start(place.server());
    place.drain(jobs, way);
    watch.stop(jobs)
}

fn prepared_drain(rival: &dyn Rival, waiting: usize, jobs: usize) -> Sample {
    let place = rival.place();
    ours::prepare(&*place, waiting);
    ours::drain(&*place, jobs)
}

/// The rate while many wait, beside the rate while few do: here both are ours.
fn drain_1m(rival: &dyn Rival, size: &Size) {
    let (few, jobs) = (size.waiting_few, size.waiting_drained);
    let place = rival.place();
    // Filled once; at the end there must be as many as its name says.
    ours::prepare(&*place, size.waiting_many + size.pairs * jobs);
    let samples =
        interleave(size.pairs, &mut [&mut || ours::drain(&*place, jobs), &mut || prepared_drain(rival, few, jobs)]);
    println!("# {}: ours={} waiting, raw={few} waiting, both by us", full_name(rival, "drain_1m"), size.waiting_many);
    print_rates(&full_name(rival, "drain_1m"), &samples[0], &samples[1]);
}

fn latency(rival: &dyn Rival, size: &Size) {
    let samples = interleave(
        size.pairs,
        &mut [&mut || ours::latencies(&*rival.place(), size.latency, EVERY), &mut || {
            let place = rival.place();
            place.prepare(0);
            place.latencies(size.latency, EVERY)
        }],
    );
    for percent in [50, 99] {
        let of = |samples: &[Vec<Duration>]| -> Vec<f64> {
            let micros = |sample: &Vec<Duration>| sample.iter().map(|d| d.as_secs_f64() * 1e6).collect::<Vec<_>>();
            samples.iter().map(|sample| percentile(&micros(sample), percent)).collect()
        };
        let name = full_name(rival, &format!("latency.p{percent}"));
        print(&name, "us", 0, &of(&samples[0]), &of(&samples[1]));
    }
}

/// The peak of a worker's process that drains; a raw program has nothing to compare.
fn rss(rival: &dyn Rival, size: &Size) {
    let place = rival.place();
    ours::prepare(&*place, size.drain);
    println!("{} ours={:.1}MiB", full_name(rival, "rss"), ours::rss_peak_mib(&*place, size.drain));
}
