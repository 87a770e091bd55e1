//! The names of all options, and what to say about a name that is none of them.

use crate::suggest::nearest;

/// Every option of `#[job(…)]`.
pub(crate) const OPTIONS: [&str; 23] = [
    "alias",
    "backoff",
    "blocking",
    "concurrency",
    "crate",
    "cron",
    "ephemeral",
    "every",
    "expires",
    "external",
    "group",
    "handler",
    "jitter",
    "max_attempts",
    "missed",
    "name",
    "on",
    "overlap",
    "queue",
    "schedule_with",
    "state",
    "timeout",
    "tz",
];

/// Options that later versions have.
const LATER: [&str; 2] = ["priority", "unique"];

/// Words that other frameworks have for it, and what to write here.
const FOREIGN: [(&[&str], &str); 13] = [
    (
        &["retries", "retry", "max_retries", "max_retry", "retry_limit"],
        "did you mean \"max_attempts\"? it counts the first run too: max_attempts = retries + 1",
    ),
    (&["attempts", "tries", "max_tries"], "did you mean \"max_attempts\"?"),
    (&["kind", "task", "type", "job_name", "rename"], "did you mean \"name\"?"),
    (&["time_limit", "max_duration"], "did you mean \"timeout\"?"),
    (&["deadline", "ttl", "expire", "valid_for"], "did you mean \"expires\"?"),
    (&["limit", "max_concurrency", "workers"], "did you mean \"concurrency\"?"),
    (&["aliases", "old_name"], "did you mean \"alias\"? it takes a list: alias(\"old_name\")"),
    (
        &["delay", "delay_for", "run_at", "at", "after"],
        "a delay belongs to one enqueue: client.enqueue(job).delay(duration)",
    ),
    (
        &["topic", "direct", "headers", "fanout", "exchange", "subscribe"],
        "what a job listens to stands in `on`: on(topic = \"member.*.updated\")",
    ),
    (&["schedule", "interval", "crontab", "period"], "did you mean \"cron\", or \"every\"?"),
    (&["timezone", "time_zone", "zone"], "did you mean \"tz\"?"),
    (&["misfire", "catch_up", "catchup"], "did you mean \"missed\"?"),
    (&["async"], "a job is async unless it says `blocking`; leave it out"),
];

/// Says what is wrong with a name that is no option, and what was probably meant.
pub(crate) fn unknown(name: &str) -> String {
    if LATER.contains(&name) {
        return format!("option \"{name}\" is not supported yet in this version; leave it out");
    }
    let foreign = FOREIGN.iter().find(|(words, _)| words.contains(&name));
    let hint = match (foreign, nearest(name, &OPTIONS)) {
        (Some((_, hint)), _) => (*hint).to_owned(),
        (None, Some(near)) => format!("did you mean \"{near}\"?"),
        (None, None) => format!("the options are {}", OPTIONS.join(", ")),
    };
    format!("unknown option \"{name}\"; {hint}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unknown_name_gets_the_hint_that_fits_it() {
        for (name, expected) in [
            ("quue", "unknown option \"quue\"; did you mean \"queue\"?"),
            ("task", "unknown option \"task\"; did you mean \"name\"?"),
            ("unique", "option \"unique\" is not supported yet in this version; leave it out"),
            (
                "colour",
                "unknown option \"colour\"; the options are alias, backoff, blocking, concurrency, crate, cron, ephemeral, \
                 every, expires, external, group, handler, jitter, max_attempts, missed, name, on, overlap, queue, \
                 schedule_with, state, timeout, tz",
            ),
        ] {
            assert_eq!(unknown(name), expected);
        }
    }

    #[test]
    fn no_word_has_two_meanings() {
        let words = FOREIGN.iter().flat_map(|(words, _)| *words).chain(&LATER).chain(&OPTIONS);
        let mut words: Vec<_> = words.collect();
        let count = words.len();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), count);
    }
}
