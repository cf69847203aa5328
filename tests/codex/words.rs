use std::hash::{BuildHasher, RandomState};

/// A name that no test has used before: letters only, so that it is legal everywhere.
pub(crate) fn word() -> String {
    let mut number = RandomState::new().hash_one(0);
    let mut letter = |letters: &[u8]| {
        let count = letters.len() as u64;
        let index = usize::try_from(number % count).unwrap();
        number /= count;
        char::from(letters[index])
    };
    (0..4).flat_map(|_| [letter(b"bdfgklmnprstvz"), letter(b"aeiou")]).collect()
}

/// A number of a few digits.
pub(crate) fn number() -> u64 {
    100 + RandomState::new().hash_one(0) % 900
}
