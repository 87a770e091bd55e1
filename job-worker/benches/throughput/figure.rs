//! Compares programs by interleaved rounds, and prints a line a figure.
//!
//! A shared machine changes from second to second: only what ran side by side is compared, and of all rounds the median
//! of the ratios counts.

use crate::sample::Sample;

/// Runs each contender once a round, in turns from the first and from the last on, and returns the samples of each.
pub(crate) fn interleave<T>(rounds: usize, contenders: &mut [&mut dyn FnMut() -> T]) -> Vec<Vec<T>> {
    let count = contenders.len();
    let mut samples: Vec<Vec<T>> = (0..count).map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for place in 0..count {
            let at = if round % 2 == 0 { place } else { count - 1 - place };
            samples[at].push(contenders[at]());
        }
    }
    samples
}

/// Prints rates in jobs a second and the processor time of 100 000 jobs.
pub(crate) fn print_rates(name: &str, ours: &[Sample], raw: &[Sample]) {
    print(name, "/s", 0, &values(ours, |s| s.rate), &values(raw, |s| s.rate));
    print_cpu(&format!("{name}.cpu_100k"), &values(ours, |s| s.cpu), &values(raw, |s| s.cpu));
    let server_cpu = |samples: &[Sample]| samples.iter().map(|s| s.server_cpu).collect::<Option<Vec<f64>>>();
    if let (Some(ours), Some(raw)) = (server_cpu(ours), server_cpu(raw)) {
        print_cpu(&format!("{name}.broker_cpu_100k"), &ours, &raw);
    }
}

fn print_cpu(name: &str, ours: &[f64], raw: &[f64]) {
    if ours.iter().chain(raw).all(|cpu| *cpu > 0.0) {
        print(name, "s", 2, ours, raw);
    } else {
        println!("{name} was too short to be measured");
    }
}

/// Prints one figure: the medians of both, and the median of the ratios of each pair.
pub(crate) fn print(name: &str, unit: &str, decimals: usize, ours: &[f64], raw: &[f64]) {
    let mut ratios: Vec<f64> = ours.iter().zip(raw).map(|(ours, raw)| ours / raw).collect();
    ratios.sort_by(f64::total_cmp);
    println!(
        "{name} ours={:.decimals$}{unit} raw={:.decimals$}{unit} ratio={:.2} (of {} pairs, {:.2} to {:.2})",
        median(ours),
        median(raw),
        median(&ratios),
        ratios.len(),
        ratios[0],
        ratios[ratios.len() - 1],
    );
}

/// Returns the value below which `percent` of the values lie.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[(sorted.len() - 1) * percent / 100]
}

fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

fn values(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> Vec<f64> {
    samples.iter().map(of).collect()
}
