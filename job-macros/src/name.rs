//! The rules for the names of kinds, queues, exchanges and headers, at compile time; those of `job_core::name`, which a test compares.

/// Longest kind or queue name, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// Longest name of a queue that AMQP knows, in bytes: a short string.
const AMQP_BYTES_MAX: usize = 255;

const RESERVED_PREFIXES: [&str; 2] = ["jobs.", "events."];
const RESERVED_SUFFIXES: [&str; 3] = [".dead", ".suspect", ".retry"];

/// Beside the fanouts `events.<name>` stand the exchanges of direct and of headers events.
const FANOUTS_RESERVED: [&str; 2] = ["direct", "headers"];

const HEADER_PREFIXES_RESERVED: [&str; 2] = ["job-", "x-"];
const HEADERS_RESERVED: [&str; 4] = ["traceparent", "tracestate", "CC", "BCC"];

/// Checks a kind: 1 to 128 ASCII letters, digits, `_`, `-` and `.`.
///
/// # Errors
/// Names the kind and the rule it breaks.
pub(crate) fn check_kind(text: &str) -> Result<(), String> {
    check_characters("kind", text)
}

/// Checks the name of a queue of our own: the rules of a kind, and no reserved prefix or suffix.
///
/// # Errors
/// Names the queue and the rule it breaks.
pub(crate) fn check_queue(text: &str) -> Result<(), String> {
    check_characters("queue", text)?;
    let prefix = RESERVED_PREFIXES.iter().find(|p| text.starts_with(**p));
    match prefix.or_else(|| RESERVED_SUFFIXES.iter().find(|s| text.ends_with(**s))) {
        None => Ok(()),
        Some(part) => Err(format!("queue name \"{text}\" uses the reserved part \"{part}\"; choose another name")),
    }
}

/// Checks the name of somebody else's queue: whatever AMQP allows, control characters apart.
///
/// # Errors
/// Names the queue and the rule it breaks.
pub(crate) fn check_external_queue(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > AMQP_BYTES_MAX {
        return Err(format!("a queue name has 1 to {AMQP_BYTES_MAX} bytes, this one has {}", text.len()));
    }
    match text.chars().any(char::is_control) {
        true => Err(format!("queue name {text:?} has control characters; use printable text")),
        false => Ok(()),
    }
}

/// Checks the name of an exchange that somebody else declared.
///
/// # Errors
/// Names the exchange and the rule it breaks.
pub(crate) fn check_exchange(text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > AMQP_BYTES_MAX {
        return Err(format!("an exchange name has 1 to {AMQP_BYTES_MAX} bytes, this one has {}", text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("exchange name {text:?} has control characters; use printable text"));
    }
    match RESERVED_PREFIXES.iter().any(|p| text.starts_with(p) || text == p.trim_end_matches('.')) {
        true => Err(format!("the exchange \"{text}\" is our own; leave the exchange out to use it")),
        false => Ok(()),
    }
}

/// Checks the name of a fanout of our own.
///
/// # Errors
/// Names the fanout and the rule it breaks.
pub(crate) fn check_fanout(text: &str) -> Result<(), String> {
    check_characters("fanout", text)?;
    match FANOUTS_RESERVED.contains(&text) {
        true => Err(format!("the fanout \"{text}\" would have the name of another exchange; choose another name")),
        false => Ok(()),
    }
}

/// Checks the name of a header.
///
/// # Errors
/// Names the header and the rule it breaks.
pub(crate) fn check_header(text: &str) -> Result<(), String> {
    let is_reserved = HEADERS_RESERVED.contains(&text) || HEADER_PREFIXES_RESERVED.iter().any(|p| text.starts_with(p));
    if is_reserved {
        return Err(format!(
            "header name {text:?} is reserved (\"job-…\", \"x-…\", \"traceparent\", \"tracestate\", \"CC\", \"BCC\"); choose another \
             name"
        ));
    }
    match text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(|b| b.is_ascii_graphic()) {
        true => Err(format!("header name {text:?} is not 1 to 128 visible ASCII characters")),
        false => Ok(()),
    }
}

fn check_characters(what: &str, text: &str) -> Result<(), String> {
    if text.is_empty() || text.len() > NAME_BYTES_MAX {
        return Err(format!("a {what} name has 1 to {NAME_BYTES_MAX} bytes, this one has {}", text.len()));
    }
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    match text.chars().find(|c| !is_allowed(*c)) {
        None => Ok(()),
        Some(c) => {
            Err(format!("{what} name {text:?} has the character {c:?}; use ASCII letters, digits, '_', '-' and '.'"))
        }
    }
}

/// Returns a type's name in snake case: `HTTPGet` becomes `http_get`.
pub(crate) fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (i, letter) in letters.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| letters[i]);
        let is_last_of_acronym = letters.get(i + 1).is_some_and(|c| c.is_lowercase());
        let begins_word =
            letter.is_uppercase() && before.is_some_and(|c| c != '_' && (!c.is_uppercase() || is_last_of_acronym));
        if begins_word {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;
    use job_core::{Kind, QueueName};

    #[test]
    fn the_rules_are_those_of_job_core() {
        let long = "x".repeat(NAME_BYTES_MAX);
        let too_long = "x".repeat(NAME_BYTES_MAX + 1);
        let texts = ["", "a b", "ä", "a/b", "mail", "A-b_c.9", "jobs.x", "events.x", "a.dead", "a.suspect", "a.retry"];
        for text in texts.into_iter().chain([long.as_str(), too_long.as_str()]) {
            let theirs = |result: Result<(), job_core::Error>| result.map_err(|error| error.to_string());
            assert_eq!(check_kind(text), theirs(Kind::parse(text).map(drop)));
            assert_eq!(check_queue(text), theirs(QueueName::parse(text).map(drop)));
        }
    }

    #[test]
    fn the_rules_of_events_are_those_of_job_core() {
        let theirs = |result: Result<(), job_core::Error>| result.map_err(|error| error.to_string());
        for text in ["", "a\nb", "jobs", "events.direct", "jobsite", "amq.topic", "größe"] {
            assert_eq!(check_exchange(text), theirs(job_core::ExchangeName::parse(text).map(drop)));
        }
        for text in ["", "a b", "x-match", "job-kind", "traceparent", "BCC", "format", "Größe"] {
            let headers = [(text.to_owned(), String::new())].into();
            assert_eq!(check_header(text), theirs(job_core::envelope::check_headers(&headers)));
        }
        for text in ["direct", "headers", "prices"] {
            assert_eq!(check_fanout(text), theirs(job_core::topology::Target::Fanout(text.into()).check()));
        }
    }

    #[test]
    fn an_external_queue_has_any_amqp_name() {
        for text in ["amq.gen/1", "jobs.x", "größe", &"x".repeat(AMQP_BYTES_MAX)] {
            assert_eq!(check_external_queue(text), Ok(()), "{text}");
        }
        for text in ["", "a\nb", &"x".repeat(AMQP_BYTES_MAX + 1)] {
            assert!(check_external_queue(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn snake_case_keeps_acronyms_together() {
        for (name, snake) in [
            ("ResizeImage", "resize_image"),
            ("HTTPGet", "http_get"),
            ("GetHTTP", "get_http"),
            ("S3Upload", "s3_upload"),
            ("Mp3ToWav", "mp3_to_wav"),
            ("Send_Mail", "send_mail"),
            ("OAuth2Token", "o_auth2_token"),
            ("A", "a"),
            ("lower", "lower"),
            ("_Hidden", "_hidden"),
        ] {
            assert_eq!(snake_case(name), snake);
        }
    }
}
