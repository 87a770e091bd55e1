//! What of a JSON value is not found again in another.

use std::collections::BTreeSet;

use serde_json::Value;

/// Returns a line for each field of `stored` that `recoded` has lost or changed, unless its path is among `gone`; and
/// for each path in `gone` that is still there.
pub(super) fn losses(stored: &Value, recoded: &Value, gone: &BTreeSet<String>) -> Vec<String> {
    let mut search = Search { gone, used: BTreeSet::new(), losses: Vec::new() };
    search.compare("", stored, recoded);
    let Search { used, mut losses, .. } = search;
    // A leave that is not needed would hide the next loss.
    losses.extend(gone.difference(&used).map(|path| format!("`{path}` is not gone; remove it from \"gone\"")));
    losses
}

struct Search<'a> {
    gone: &'a BTreeSet<String>,
    used: BTreeSet<String>,
    losses: Vec<String>,
}

impl Search<'_> {
    fn compare(&mut self, path: &str, stored: &Value, recoded: &Value) {
        match (stored, recoded) {
            (Value::Object(stored), Value::Object(recoded)) => {
                for (name, value) in stored {
                    let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    match recoded.get(name) {
                        Some(recoded) => self.compare(&path, value, recoded),
                        None if value.is_null() => {}
                        None => self.lose(&path, || {
                            format!("`{path}` is lost; a field that was given up on purpose stands in \"gone\"")
                        }),
                    }
                }
            }
            (Value::Array(stored), Value::Array(recoded)) if stored.len() == recoded.len() => {
                for (index, (stored, recoded)) in stored.iter().zip(recoded).enumerate() {
                    self.compare(&format!("{path}[{index}]"), stored, recoded);
                }
            }
            _ if is_equal(stored, recoded) => {}
            _ => self.lose(path, || {
                let place = if path.is_empty() { "it".to_owned() } else { format!("`{path}`") };
                format!("{place} was {stored} and comes back as {recoded}")
            }),
        }
    }

    fn lose(&mut self, path: &str, message: impl FnOnce() -> String) {
        if self.gone.contains(path) {
            self.used.insert(path.to_owned());
        } else {
            self.losses.push(message());
        }
    }
}

fn is_equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        // 1 and 1.0 are one number to JSON; two large integers are not one because one `f64` stands for both.
        (Value::Number(a), Value::Number(b)) if a.is_f64() || b.is_f64() => a.as_f64() == b.as_f64(),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(stored: &Value, recoded: &Value, gone: &[&str], expected: &[&str]) {
        let gone = gone.iter().map(|path| (*path).to_owned()).collect();
        assert_eq!(losses(stored, recoded, &gone), expected, "{stored} {recoded}");
    }

    #[test]
    fn what_is_found_again_is_not_lost() {
        check(&json!({"a": 1}), &json!({"a": 1.0, "new": 2}), &[], &[]);
        check(&json!({"a": null}), &json!({}), &[], &[]);
        check(&json!([{"a": "x"}]), &json!([{"a": "x"}]), &[], &[]);
        check(&json!("plain"), &json!("plain"), &[], &[]);
    }

    #[test]
    fn what_is_lost_or_changed_is_told_with_its_path() {
        let lost = "`a.b` is lost; a field that was given up on purpose stands in \"gone\"";
        check(&json!({"a": {"b": 1}}), &json!({"a": {}}), &[], &[lost]);
        check(&json!({"a": [1, 2]}), &json!({"a": [1, 3]}), &[], &["`a[1]` was 2 and comes back as 3"]);
        check(&json!({"a": [1]}), &json!({"a": []}), &[], &["`a` was [1] and comes back as []"]);
        check(&json!({"a": 1}), &json!({"a": "1"}), &[], &["`a` was 1 and comes back as \"1\""]);
        check(&json!(1), &json!(2), &[], &["it was 1 and comes back as 2"]);
        let changed = "it was 18446744073709551615 and comes back as 18446744073709551614";
        check(&json!(u64::MAX), &json!(u64::MAX - 1), &[], &[changed]);
    }

    #[test]
    fn a_field_may_be_gone_on_purpose_and_only_then() {
        check(&json!({"a": {"b": 1}}), &json!({"a": {}}), &["a.b"], &[]);
        check(&json!({"a": 1}), &json!({"a": 1}), &["a"], &["`a` is not gone; remove it from \"gone\""]);
    }
}
