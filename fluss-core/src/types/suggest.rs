//! What a name that does not exist was meant to be.

/// The one of some names that is spelt much the same as an unknown one: no more than a third of its letters differ, not counting
/// whether they are small.
pub fn suggestion<'n>(unknown: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let wanted: Vec<char> = unknown.to_lowercase().chars().take(MOST_CHARS).collect();
    let most = wanted.len().div_ceil(3);
    let near = names.into_iter().filter_map(|name| {
        let letters: Vec<char> = name.to_lowercase().chars().take(MOST_CHARS).collect();
        let differ = distance(&wanted, &letters);
        (differ <= most && differ < letters.len()).then_some((differ, name))
    });
    near.min_by_key(|(differ, _)| *differ).map(|(_, name)| name)
}

/// What to add to a message about an unknown name: a question, or nothing.
pub fn did_you_mean<'n>(unknown: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    suggestion(unknown, names).map_or_else(String::new, |name| format!("; did you mean '{name}'?"))
}

/// Names are compared up to here.
const MOST_CHARS: usize = 100;

/// How many letters have to be put in, left out or changed.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (taken, letter) in one.iter().enumerate() {
        let mut diagonal = taken;
        let mut left = taken + 1;
        for (cell, counterpart) in row.iter_mut().skip(1).zip(other) {
            let changed = diagonal + usize::from(letter != counterpart);
            diagonal = *cell;
            left = changed.min(diagonal + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = taken + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_differ_are_counted() {
        for (one, other, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("user_id", "userid", 1),
            ("price", "pirce", 2),
        ] {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(
                distance(&letters(one), &letters(other)),
                expected,
                "{one} {other}"
            );
        }
    }

    #[test]
    fn only_what_is_spelt_much_the_same_is_suggested() {
        let names = ["id", "user_id", "price", "created_at"];
        for (unknown, expected) in [
            ("userid", Some("user_id")),
            ("Price", Some("price")),
            ("pirce", Some("price")),
            ("ID", Some("id")),
            ("creatd_at", Some("created_at")),
            ("nope", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(suggestion(unknown, names), expected, "{unknown}");
        }
        assert_eq!(did_you_mean("userid", names), "; did you mean 'user_id'?");
        assert_eq!(did_you_mean("nope", names), "");
    }
}
