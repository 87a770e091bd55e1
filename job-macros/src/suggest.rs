//! Finds the name that was probably meant.

/// Returns the candidate nearest to `text`, if one is near enough to be a slip of it.
pub(crate) fn nearest<'a>(text: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let text = text.to_ascii_lowercase();
    let near = candidates.iter().map(|c| (distance(&text, c), *c)).min()?;
    // A third of the letters may be wrong: more is another word.
    (near.0 <= text.chars().count().max(3) / 3).then_some(near.1)
}

/// Counts the letters to insert, delete, replace or swap with their neighbour (optimal string alignment distance).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<_>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let names = ["queue", "timeout", "max_attempts", "name"];
        for (text, expected) in [
            ("queeu", Some("queue")),
            ("Queue", Some("queue")),
            ("time_out", Some("timeout")),
            ("max_atempts", Some("max_attempts")),
            ("nmae", Some("name")),
            ("priority", None),
            ("x", None),
        ] {
            assert_eq!(nearest(text, &names), expected, "{text}");
        }
    }

    #[test]
    fn a_swap_counts_once() {
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
