//! What was probably meant by a name that is not known.

/// The one that is most like `name`, if any is much like it.
pub(in crate::gateway) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |candidate| (strsim::normalized_damerau_levenshtein(name, candidate), candidate);
    let nearest = known.into_iter().map(likeness).max_by(|(a, _), (b, _)| a.total_cmp(b));
    nearest.filter(|(likeness, _)| *likeness > 0.6).map(|(_, candidate)| candidate)
}

/// The same for an error of serde's, which names what it does not know, and then what it does.
pub(super) fn in_error(message: &str) -> Option<&str> {
    let mut names = message.strip_prefix("unknown ")?.split('`').skip(1).step_by(2);
    nearest(names.next()?, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alike_is_suggested() {
        let message = "unknown field `request_byte`, expected one of `request_bytes`, `response_bytes`, `queue`";
        assert_eq!(in_error(message), Some("request_bytes"));
        assert_eq!(in_error("unknown field `ulr`, expected one of `url`, `models`"), Some("url"));
        assert_eq!(in_error("unknown field `colour`, expected one of `url`, `models`"), None);
        assert_eq!(in_error("unknown field `a`, there are no fields"), None);
        assert_eq!(in_error("invalid type: integer `5`, expected a string"), None);
    }
}
