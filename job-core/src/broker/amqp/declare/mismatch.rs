//! Reads what RabbitMQ says of something that exists and differs from what was declared.
//!
//! The texts are those of 3.10.8 (`rabbit_misc:assert_args_equivalence`, `rabbit_amqqueue:check_arguments`); a text that
//! is not understood stays as it is.

/// Returns an explanation, where the text is one of a mismatch.
pub(super) fn explain(text: &str) -> Option<String> {
    if let Some(rest) = after(text, "inequivalent arg '") {
        let (argument, rest) = rest.split_once('\'')?;
        let (kind, name) = thing(rest)?;
        let (wanted, found) = after(rest, ": received ")?.split_once(" but current is ")?;
        return Some(format!(
            "the {kind} \"{name}\" exists already and differs: its \"{argument}\" is {}, and {} is needed; we never change \
             a {kind}: delete it once it is empty, or take a namespace of your own with \"?namespace=…\"",
            value(found),
            value(wanted),
        ));
    }
    let (argument, rest) = after(text, "invalid arg '")?.split_once('\'')?;
    let (kind, name) = thing(rest)?;
    Some(format!(
        "this RabbitMQ does not take the argument \"{argument}\" of the {kind} \"{name}\"; RabbitMQ 3.10 or later is needed"
    ))
}

/// Reads `for queue 'mail' in vhost '/'`.
fn thing(text: &str) -> Option<(&str, &str)> {
    let (kind, rest) = after(text, "for ")?.split_once(" '")?;
    let (name, _) = rest.split_once("' in vhost")?;
    Some((kind, name))
}

/// Reads `'10'`, `none`, `the value '1000' of type 'signedint'`.
fn value(text: &str) -> String {
    match text.split('\'').nth(1) {
        Some(value) => format!("\"{value}\""),
        None => "not set".into(),
    }
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark).map(|(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(said: &str, expected: &str) {
        let text = explain(said).unwrap();
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn a_mismatch_names_queue_argument_and_both_values() {
        check(
            "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 't14' in vhost '/': received '11' but \
             current is '10'",
            "the queue \"t14\" exists already and differs: its \"x-delivery-limit\" is \"10\", and \"11\" is needed; ",
        );
        check(
            "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 't14' in vhost '/': received none but \
             current is the value '1000' of type 'signedint'",
            "the queue \"t14\" exists already and differs: its \"x-message-ttl\" is \"1000\", and not set is needed; ",
        );
        check(
            "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'jobs' in vhost '/': received 'direct' but \
             current is 'topic'",
            "the exchange \"jobs\" exists already and differs: its \"type\" is \"topic\", and \"direct\" is needed; ",
        );
    }

    #[test]
    fn an_argument_that_is_not_taken_is_named() {
        check(
            "PRECONDITION_FAILED - invalid arg 'x-delivery-limit' for queue 'mail' in vhost '/' of queue type \
             rabbit_classic_queue",
            "this RabbitMQ does not take the argument \"x-delivery-limit\" of the queue \"mail\"; ",
        );
    }

    #[test]
    fn another_text_is_left_alone() {
        assert_eq!(explain("PRECONDITION_FAILED - delivery acknowledgement on channel 2 timed out"), None);
    }
}
