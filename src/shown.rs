//! What may be shown of texts that hold secrets, or that others have written.

/// Parameters of URLs that say nothing secret. Whatever else stands there may be.
const PLAIN: [&str; 7] =
    ["synchronous", "sslmode", "sslrootcert", "prefix", "wait", "connect_timeout", "target_session_attrs"];

/// Returns the URL without what may be a secret: the user, and the values of its parameters.
pub(crate) fn url(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, url),
    };
    let mut shown = scheme.map(|scheme| format!("{scheme}://")).unwrap_or_default();
    let rest = match rest.rsplit_once('@') {
        // A path is no user.
        _ if url.starts_with("sqlite:") => rest,
        None => rest,
        // A password or a parameter: it cannot be told where either ends.
        Some((before, _)) if before.contains(['?', '#', '&']) => return shown + "…",
        Some((_, rest)) => {
            shown.push_str("…@");
            rest
        }
    };
    let place = rest.find(['?', '#']).unwrap_or(rest.len());
    shown.push_str(&rest[..place]);
    for parameter in rest[place..].split_inclusive(['?', '&', '#', ';']) {
        let (text, separator) = match parameter.char_indices().next_back() {
            Some((at, '?' | '&' | '#' | ';')) => parameter.split_at(at),
            _ => (parameter, ""),
        };
        match text.split_once('=') {
            Some((name, _)) if PLAIN.contains(&name) => shown.push_str(text),
            Some((name, _)) => {
                shown.push_str(name);
                shown.push_str("=…");
            }
            None if text.is_empty() => {}
            None => shown.push('…'),
        }
        shown.push_str(separator);
    }
    shown
}

/// Escapes control characters as JSON does, so that what others have written does not command a
/// terminal. Line ends and tabs stay.
#[cfg(feature = "gateway")]
pub(crate) fn text(text: &str) -> std::borrow::Cow<'_, str> {
    use std::fmt::Write;
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
    if text.chars().all(is_plain) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_plain(c) {
            shown.push(c);
        } else {
            // Memory is all that is written to.
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        }
    }
    shown.into()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_url_shows_where_and_no_secret() {
        for (url, shown) in [
            ("memory", "memory"),
            ("none", "none"),
            ("sqlite:/home/me@work/r.db", "sqlite:/home/me@work/r.db"),
            ("sqlite:///a@b/r.db?synchronous=full", "sqlite:///a@b/r.db?synchronous=full"),
            ("sqlite:r.db?key=secret", "sqlite:r.db?key=…"),
            ("postgres://me:secret@host:5432/db?sslmode=require", "postgres://…@host:5432/db?sslmode=require"),
            ("postgres://me:sec/ret@host/db", "postgres://…@host/db"),
            ("postgres://me:sec@ret@host/db", "postgres://…@host/db"),
            ("postgres://me:sec?ret@host/db", "postgres://…"),
            ("postgres://host/db?user=me&password=secret", "postgres://host/db?user=…&password=…"),
            ("postgres://host/db?user=me@work&password=secret", "postgres://…"),
            ("postgres://host/db?pass%77ord=secret&wait=1", "postgres://host/db?pass%77ord=…&wait=1"),
            ("postgres:///db?password=secret", "postgres:///db?password=…"),
            ("redis-cluster://:secret@a:1,b:2?prefix=p", "redis-cluster://…@a:1,b:2?prefix=p"),
            ("rediss://secret@host", "rediss://…@host"),
            ("http://host/v1", "http://host/v1"),
            ("http://me:secret@host/v1", "http://…@host/v1"),
            ("https://host/v1?api_key=secret", "https://host/v1?api_key=…"),
            ("https://host/v1?secret", "https://host/v1?…"),
            ("https://host/v1#secret", "https://host/v1#…"),
            ("https://host/v1?a=b#c=secret", "https://host/v1?a=…#c=…"),
            ("me:secret@host:80", "…@host:80"),
        ] {
            assert_eq!(super::url(url), shown);
        }
    }

    #[cfg(feature = "gateway")]
    #[test]
    fn no_text_commands_a_terminal() {
        for (text, shown) in [
            ("two\nlines\tö", "two\nlines\tö"),
            ("\u{1b}[2J\r\u{7}", "\\u001b[2J\\u000d\\u0007"),
            ("\u{9b}31m\u{7f}", "\\u009b31m\\u007f"),
        ] {
            assert_eq!(super::text(text), shown);
        }
    }
}
