//! The names under which the upstream knows the tools.

use std::borrow::Cow;

use tower_responses_core::{ClientTool, ToolKind};

#[cfg(test)]
mod tests;

/// What servers take as the name of a function.
pub(crate) const LONGEST: usize = 64;

/// The namespace whose members are known by their own names.
pub(crate) const PLAIN_NAMESPACE: &str = "functions";

/// Whether every server takes `name` as the name of a function.
pub(crate) fn is_legal(name: &str) -> bool {
    (1..=LONGEST).contains(&name.len()) && name.bytes().all(is_legal_byte)
}

fn is_legal_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The name that reads best, which may be neither legal nor free.
pub(crate) fn natural<'a>(namespace: Option<&str>, name: &'a str) -> Cow<'a, str> {
    match namespace {
        None | Some(PLAIN_NAMESPACE) => name.into(),
        Some(namespace) => {
            let separator = if namespace.ends_with("__") { "" } else { "__" };
            [namespace, separator, name].concat().into()
        }
    }
}

/// Whether `name` is the natural one of `tool`.
pub(crate) fn is_natural(tool: &ClientTool, name: &str) -> bool {
    match tool.namespace() {
        None | Some(PLAIN_NAMESPACE) => tool.name() == name,
        Some(namespace) => {
            let rest = name.strip_suffix(tool.name()).and_then(|rest| rest.strip_prefix(namespace));
            rest == Some(if namespace.ends_with("__") { "" } else { "__" })
        }
    }
}

/// A name for `tool` that is legal, and for which `is_taken` says no: its natural one, if that is
/// free.
pub(crate) fn choose(
    tool: &ClientTool,
    natural: Cow<'_, str>,
    is_free: bool,
    is_taken: impl Fn(&str) -> bool,
) -> String {
    if is_free && is_legal(&natural) {
        return natural.into_owned();
    }
    // Two hashes that meet are told apart by hashing again: whoever came first keeps the name.
    let mut round = 0u32;
    loop {
        let name = hashed(tool, &natural, round);
        if !is_taken(&name) {
            return name;
        }
        round += 1;
    }
}

/// What `chosen` is without the hash that it was given, if it was.
pub(crate) fn readable_part<'n>(tool: &ClientTool, chosen: &'n str) -> Option<&'n str> {
    let readable = chosen.get(..chosen.len().checked_sub(HASH)?)?;
    (!is_natural(tool, chosen) && !readable.is_empty()).then_some(readable)
}

const HASH: usize = "_01234567".len();

fn hashed(tool: &ClientTool, natural: &str, round: u32) -> String {
    let readable = natural.chars().map(|c| if c.is_ascii() && is_legal_byte(c as u8) { c } else { '_' });
    let mut name: String = readable.take(LONGEST - HASH).collect();
    let hash = identity_hash(tool, round);
    name.push_str(&format!("_{hash:08x}"));
    name
}

/// FNV-1a over what tells tools apart. No more is needed than that it never changes: names are in
/// histories and in caches.
fn identity_hash(tool: &ClientTool, round: u32) -> u32 {
    let kind: &[u8] = match tool.kind() {
        ToolKind::Function => b"f",
        ToolKind::Custom => b"c",
        ToolKind::ToolSearch => b"s",
        _ => b"?",
    };
    // 0xff is in no UTF-8 text, so parts cannot run into each other.
    let parts: [&[u8]; 7] = [
        kind,
        &[0xff],
        tool.namespace().unwrap_or_default().as_bytes(),
        &[0xff],
        tool.name().as_bytes(),
        &[0xff],
        &round.to_le_bytes(),
    ];
    let hash = parts
        .into_iter()
        .flatten()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    // The halves folded, since the low bits alone mix badly.
    u32::try_from((hash >> 32) ^ (hash & 0xffff_ffff)).unwrap_or_default()
}
