//! Finds the kinds whose runs may outlast what the broker lets a process hold a job. Pure.
//!
//! Such a job would be taken away in the middle of its run, with all others of its channel, and begun again elsewhere.

use std::time::Duration;

use job_core::broker::Capabilities;
use job_core::options::JobOptions;

/// What is left for the end of a run to be recorded, and for a broker that looks once a minute.
const RESERVE: Duration = Duration::from_secs(120);

/// Returns how long a run may take at the most: a job may have waited in the process for half of the time.
fn run_max(hold_max: Duration) -> Duration {
    (hold_max / 2).saturating_sub(RESERVE)
}

/// Says what is wrong with a kind, if something is.
pub(crate) fn problem(kind: &str, options: &JobOptions, capabilities: &Capabilities) -> Option<String> {
    let hold_max = capabilities.hold_max?;
    let run_max = run_max(hold_max);
    if options.timeout.is_some_and(|timeout| timeout <= run_max) {
        return None;
    }
    let runs = options.timeout.map_or_else(|| "without end".to_owned(), |timeout| format!("for {}", words(timeout)));
    Some(format!(
        "the job \"{kind}\" may run {runs}, and \"{}\" takes a job away from a process that holds it for {}; give it a \
         timeout of at most {}, let it come back with continue_with(cursor), or raise the server's consumer_timeout and \
         state it in the URL, as in \"?consumer_timeout=24h\"",
        capabilities.name,
        words(hold_max),
        words(run_max),
    ))
}

fn words(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

    fn problem_of(timeout: Option<u64>, hold_max: Option<Duration>) -> Option<String> {
        let capabilities = Capabilities {
            name: "rabbitmq",
            can_cancel: false,
            can_find: false,
            is_then_atomic: false,
            is_fire_exact: false,
            is_deduplicating: false,
            delay_min: Duration::ZERO,
            hold_max,
        };
        let options = JobOptions { timeout: timeout.map(Duration::from_secs), ..JobOptions::DEFAULT };
        problem("resize", &options, &capabilities)
    }

    #[test]
    fn what_fits_into_half_of_the_time_may_run() {
        assert_eq!(problem_of(Some(13 * 60), Some(HALF_AN_HOUR)), None);
        assert_eq!(problem_of(Some(600), Some(HALF_AN_HOUR)), None);
        assert_eq!(problem_of(None, None), None);
    }

    #[test]
    fn what_may_be_taken_away_in_the_middle_is_told_with_the_ways_out() {
        assert_eq!(
            problem_of(Some(13 * 60 + 1), Some(HALF_AN_HOUR)).unwrap(),
            "the job \"resize\" may run for 13m 1s, and \"rabbitmq\" takes a job away from a process that holds it for 30m; \
             give it a timeout of at most 13m, let it come back with continue_with(cursor), or raise the server's \
             consumer_timeout and state it in the URL, as in \"?consumer_timeout=24h\""
        );
        assert!(problem_of(None, Some(HALF_AN_HOUR)).unwrap().contains("may run without end"));
        assert!(problem_of(Some(1), Some(Duration::from_secs(60))).is_some());
    }
}
