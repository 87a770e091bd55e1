//! Cuts a record at many moments, and opens what each of them leaves.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

use fastrand::Rng;

use crate::content::{DATABASE, revive};
use crate::disk::Disk;
use crate::promise::{Breach, Promises};
use crate::record::Event;
use crate::recording::scratch;

/// Breaches that are kept in words.
const BREACHES_MAX: usize = 20;

/// Which images to make.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How many.
    pub(crate) images: usize,
    /// With the record, decides each of them.
    pub(crate) seed: u64,
}

/// What the images showed.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Images that were opened.
    pub(crate) images: usize,
    /// Confirmed things, summed over the images.
    pub(crate) confirmed: usize,
    /// Confirmed things that were not there.
    pub(crate) lost: usize,
    /// Images that could not be opened, or that contradicted themselves.
    pub(crate) corrupt: usize,
    /// Things that were there and should not have been.
    pub(crate) phantom: usize,
    /// The first breaches, in words.
    pub(crate) breaches: Vec<String>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { images, confirmed, lost, corrupt, phantom, .. } = self;
        write!(f, "images={images} confirmed={confirmed} lost={lost} corrupt={corrupt} phantom={phantom}")
    }
}

/// Makes and opens the images of a plan, on all processors.
pub(crate) fn run(events: &[Event], plan: Plan) -> Verdict {
    let cuts = cuts(events, plan);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut verdict = Verdict::default();
    std::thread::scope(|scope| {
        let parts = cuts.chunks(cuts.len().div_ceil(threads).max(1));
        let running: Vec<_> = parts.map(|part| scope.spawn(move || run_part(events, part, plan.seed))).collect();
        running.into_iter().for_each(|part| verdict.add(part.join().expect("no image ends the test")));
    });
    verdict
}

/// Returns the numbers of events after which the power fails, rising, each with the number of its image: a third right
/// after a promise, a third around the writes to the database, of which a record has few, and a third anywhere.
fn cuts(events: &[Event], plan: Plan) -> Vec<(usize, usize)> {
    let mut rng = Rng::with_seed(plan.seed);
    let places = |is_one: fn(&Event) -> bool| -> Vec<usize> {
        events.iter().enumerate().filter(|(_, event)| is_one(event)).map(|(at, _)| at + 1).collect()
    };
    let marks = places(|event| matches!(event, Event::Mark(_)));
    let folds = places(|event| event.name() == Some(DATABASE));
    let mut cut = |image: usize| match image % 3 {
        0 => marks[rng.usize(0..marks.len())],
        1 => folds[rng.usize(0..folds.len())],
        _ => rng.usize(0..=events.len()),
    };
    let mut cuts: Vec<_> = (0..plan.images).map(|image| (cut(image), image)).collect();
    cuts.sort_unstable();
    cuts
}

fn run_part(events: &[Event], cuts: &[(usize, usize)], seed: u64) -> Verdict {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let scratch = scratch();
    let (mut disk, mut promises, mut verdict) = (Disk::default(), Promises::default(), Verdict::default());
    let mut events = events.iter();
    let mut done = 0;
    for &(cut, image) in cuts {
        for event in events.by_ref().take(cut - done) {
            disk.apply(event);
            if let Event::Mark(marks) = event {
                promises.note(marks);
            }
        }
        done = cut;
        // Decided by seed and number alone: an image that fails can be made again.
        let mut rng = Rng::with_seed(seed.wrapping_mul(1_000_003).wrapping_add(image as u64));
        let left = disk.lose_power(&mut rng);
        let directory = scratch.path().join(image.to_string());
        fs::create_dir(&directory).expect("a directory for the image");
        let revived = runtime.block_on(revive(&left, &directory));
        fs::remove_dir_all(&directory).expect("the image can be removed");
        verdict.count(&promises, revived.as_ref(), &format!("image {image}, cut after event {cut}"));
    }
    verdict
}

impl Verdict {
    fn count(&mut self, promises: &Promises, revived: Result<&BTreeMap<String, String>, &String>, place: &str) {
        self.images += 1;
        self.confirmed += promises.confirmed();
        match revived {
            Ok(content) => promises.check(content).into_iter().for_each(|breach| {
                match &breach {
                    Breach::Lost(_) => self.lost += 1,
                    Breach::Phantom(_) => self.phantom += 1,
                }
                self.tell(format!("{place}: {breach:?}"));
            }),
            Err(error) => {
                self.corrupt += 1;
                self.tell(format!("{place}: {error}"));
            }
        }
    }

    fn tell(&mut self, text: String) {
        if self.breaches.len() < BREACHES_MAX {
            self.breaches.push(text);
        }
    }

    fn add(&mut self, other: Self) {
        self.images += other.images;
        self.confirmed += other.confirmed;
        self.lost += other.lost;
        self.corrupt += other.corrupt;
        self.phantom += other.phantom;
        other.breaches.into_iter().for_each(|breach| self.tell(breach));
    }
}
