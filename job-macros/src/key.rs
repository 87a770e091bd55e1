//! The keys of events and the patterns of subscriptions, as they stand in attributes.

/// Longest routing key or binding pattern, in bytes: an AMQP short string.
const KEY_BYTES_MAX: usize = 255;

/// RabbitMQ 4.3 takes no binding with more `#` than this.
const HASHES_MAX: usize = 2;

/// A piece of an event's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// It is the same in each event.
    Text(String),
    /// It is the value of a field: `{user_id}`.
    Field(String),
}

/// Splits a key at its placeholders.
///
/// # Errors
/// Says which brace is wrong.
pub(crate) fn pieces(key: &str) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut rest = key;
    while let Some(at) = rest.find(['{', '}']) {
        if rest[at..].starts_with('}') {
            return Err(format!("the key \"{key}\" has a `}}` that closes nothing; write {{field}}"));
        }
        if at > 0 {
            pieces.push(Piece::Text(rest[..at].into()));
        }
        let inside = &rest[at + 1..];
        let end = inside.find(['{', '}']).ok_or_else(|| format!("the key \"{key}\" has a `{{` that is not closed"))?;
        if inside[end..].starts_with('{') {
            return Err(format!("the key \"{key}\" has braces within braces; a placeholder is the name of one field"));
        }
        let name = &inside[..end];
        if name.is_empty() {
            return Err(format!("the key \"{key}\" has a placeholder without a name; write the name of a field in it"));
        }
        if !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            return Err(format!("the placeholder {{{name}}} is not the name of a field; it is written as it is"));
        }
        pieces.push(Piece::Field(name.into()));
        rest = &inside[end + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.into()));
    }
    Ok(pieces)
}

/// Checks the key of a topic event.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn check_topic_key(key: &str) -> Result<(), String> {
    check_direct_key(key)?;
    check_words("key", key)
}

/// Checks the key of a direct event, or of a subscription to it.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn check_direct_key(key: &str) -> Result<(), String> {
    check_length("key", key)?;
    match key.contains(['*', '#']) {
        true => Err(format!("the key \"{key}\" has a wildcard; only the topics of subscriptions have any")),
        false => Ok(()),
    }
}

/// Checks the pattern of a subscription to topics.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn check_pattern(pattern: &str) -> Result<(), String> {
    check_length("topic", pattern)?;
    check_words("topic", pattern)?;
    if pattern.contains(['{', '}']) {
        return Err(format!(
            "the topic \"{pattern}\" has braces, which only events have; write * for one word, or # for any number of them"
        ));
    }
    let mixed = pattern.split('.').find(|word| word.len() > 1 && word.contains(['*', '#']));
    if let Some(word) = mixed {
        return Err(format!(
            "\"{word}\" in the topic \"{pattern}\" is no wildcard; * and # stand for whole words only"
        ));
    }
    let hashes = pattern.split('.').filter(|word| *word == "#").count();
    match hashes > HASHES_MAX {
        true => Err(format!("the topic \"{pattern}\" has {hashes} times #; RabbitMQ takes at most {HASHES_MAX}")),
        false => Ok(()),
    }
}

/// Checks the key of a subscription to a direct event.
///
/// # Errors
/// Says what is wrong with it.
pub(crate) fn check_bound_key(key: &str) -> Result<(), String> {
    check_direct_key(key)?;
    match key.contains(['{', '}']) {
        true => Err(format!("the key \"{key}\" has braces, which only events have; write the key itself")),
        false => Ok(()),
    }
}

fn check_length(what: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("the {what} is empty; write words with dots between them, such as \"member.updated\""));
    }
    if text.len() > KEY_BYTES_MAX {
        return Err(format!("a {what} has at most {KEY_BYTES_MAX} bytes, this one has {}", text.len()));
    }
    Ok(())
}

fn check_words(what: &str, text: &str) -> Result<(), String> {
    match text.split('.').any(str::is_empty) {
        true => Err(format!("the {what} \"{text}\" has an empty word; write one dot between two words")),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_from_text() {
        let text = |text: &str| Piece::Text(text.into());
        let field = |name: &str| Piece::Field(name.into());
        assert_eq!(pieces("a.b"), Ok(vec![text("a.b")]));
        assert_eq!(pieces("user.{user_id}.deleted"), Ok(vec![text("user."), field("user_id"), text(".deleted")]));
        assert_eq!(pieces("{a}{0}"), Ok(vec![field("a"), field("0")]));
        for (key, word) in
            [("a}", "closes"), ("{a", "not closed"), ("{a{b}}", "within"), ("{}", "without a name"), ("{a.b}", "{a.b}")]
        {
            let error = pieces(key).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn keys_have_words_and_no_wildcards() {
        let long = "x".repeat(KEY_BYTES_MAX);
        for key in ["a", "a.b-c", "{a}.b", &long] {
            assert_eq!(check_topic_key(key), Ok(()), "{key}");
        }
        for key in ["", ".a", "a.", "a..b", "a.*", "#", &format!("{long}x")] {
            assert!(check_topic_key(key).is_err(), "{key}");
        }
        assert_eq!(check_direct_key("a..b"), Ok(()));
        assert!(check_bound_key("{a}").is_err());
    }

    #[test]
    fn wildcards_are_whole_words_and_few() {
        for pattern in ["#", "*", "member.*.updated", "#.a.#", "a"] {
            assert_eq!(check_pattern(pattern), Ok(()), "{pattern}");
        }
        for pattern in ["", "a.b*", "a.##", "#.#.#", "a..b", "{a}.b"] {
            assert!(check_pattern(pattern).is_err(), "{pattern}");
        }
    }
}
