//! Finds the variable that somebody meant to set.

/// Names shorter than this are too easily alike (`PORT`, `HOST`).
const COMPARABLE: usize = 8;

/// The number of slips that still look like the same name.
const SLIPS: usize = 2;

/// Whether `found` looks like a slip of the pen for `meant`: other capitals, or one or two wrong characters.
pub(super) fn is_slip(found: &str, meant: &str) -> bool {
    let capitals = found.to_uppercase();
    if capitals == meant {
        return found != meant;
    }
    let comparable = meant.len() >= COMPARABLE && capitals.len().abs_diff(meant.len()) <= SLIPS;
    comparable && distance(&capitals, meant) <= SLIPS
}

/// The Levenshtein distance, in bytes.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised() {
        for (found, meant) in [
            ("DATABSE_URL", "DATABASE_URL"),
            ("DATABASE_ULR", "DATABASE_URL"),
            ("Database_Url", "DATABASE_URL"),
            ("port", "PORT"),
            ("POSTIZ_OAUTH_CLIENTID", "POSTIZ_OAUTH_CLIENT_ID"),
        ] {
            assert!(is_slip(found, meant), "{found}");
        }
    }

    #[test]
    fn other_names_are_left_alone() {
        for (found, meant) in [
            ("DATABASE_URL", "DATABASE_URL"),
            ("HOST", "PORT"),
            ("POSTIZ_API_KEY", "POSTIZ_API_URL"),
            ("POSTIZ_AUTH_SERVER", "POSTIZ_API_URL"),
            ("DIRECT_DATABASE_URL", "DATABASE_URL"),
        ] {
            assert!(!is_slip(found, meant), "{found}");
        }
    }
}
