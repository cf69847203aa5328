//! A line of the log as text.

use std::{
    fmt::{self, Debug, Write},
    time::SystemTime,
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Writes `TIME LEVEL TARGET: MESSAGE NAME=VALUE …`, as tracing-subscriber's compact format does,
/// for less than half of what that costs: there is a line for every request.
pub(super) struct TextLine;

impl<S, N> FormatEvent<S, N> for TextLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let mut line = String::with_capacity(512);
        write!(line, "{}", humantime::format_rfc3339_micros(SystemTime::now()))?;
        line.push_str(match *metadata.level() {
            tracing::Level::ERROR => " ERROR ",
            tracing::Level::WARN => "  WARN ",
            tracing::Level::INFO => "  INFO ",
            tracing::Level::DEBUG => " DEBUG ",
            tracing::Level::TRACE => " TRACE ",
        });
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            line.push_str(span.name());
            line.push(':');
        }
        line.push_str(metadata.target());
        line.push(':');
        event.record(&mut Fields(&mut line));
        line.push('\n');
        writer.write_str(&line)
    }
}

/// Writes each field behind a space, its name before it unless it is the message.
struct Fields<'a>(&'a mut String);

impl Fields<'_> {
    fn name(&mut self, field: &Field) -> &mut String {
        self.0.push(' ');
        if field.name() != "message" {
            self.0.push_str(field.name());
            self.0.push('=');
        }
        self.0
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        let line = self.name(field);
        // None of these can fail: memory is all that is written to.
        let _ = if field.name() == "message" {
            OneLine(line).write_str(value)
        } else if is_plain(value) {
            line.push('"');
            line.push_str(value);
            line.push('"');
            Ok(())
        } else {
            write!(line, "{value:?}")
        };
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.name(field).push_str(itoa::Buffer::new().format(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field).push_str(itoa::Buffer::new().format(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut line = OneLine(self.name(field));
        let _ = write!(line, "{value}");
        let mut source = value.source();
        while let Some(error) = source {
            let _ = write!(line, ": {error}");
            source = error.source();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(OneLine(self.name(field)), "{value:?}");
    }
}

/// Whether text stands in quotes as it is. Without a branch inside, so that it becomes a few
/// instructions on vectors.
fn is_plain(text: &str) -> bool {
    let is_plain = |byte: u8| matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\');
    text.bytes().fold(true, |plain, byte| plain & is_plain(byte))
}

/// Shows control characters instead of writing them: what others have said can neither begin a
/// line nor command a terminal.
struct OneLine<'a>(&'a mut String);

impl Write for OneLine<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if is_plain(text) {
            self.0.push_str(text);
            return Ok(());
        }
        let mut rest = text;
        while let Some(at) = rest.find(char::is_control) {
            let (plain, control) = rest.split_at(at);
            let mut control = control.chars();
            self.0.push_str(plain);
            self.0.extend(control.next().unwrap_or_default().escape_default());
            rest = control.as_str();
        }
        self.0.push_str(rest);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Written {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    /// The lines that `write` logs, as this format writes them and as the compact one does.
    fn both(write: impl Fn()) -> [String; 2] {
        let (ours, compact) = (Written::default(), Written::default());
        let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
        tracing::subscriber::with_default(log.with_writer(ours.clone()).event_format(TextLine).finish(), &write);
        let log = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
        tracing::subscriber::with_default(log.with_writer(compact.clone()).compact().finish(), &write);
        [ours, compact].map(|written| String::from_utf8(written.0.lock().unwrap().clone()).unwrap())
    }

    #[test]
    fn lines_are_those_of_the_compact_format() {
        let [ours, compact] = both(|| {
            let (some, none) = (Some("a \"model\"\n"), None::<i64>);
            tracing::info!(method = %"POST", path = "/v1/responses", status = 200, ms = 0.35, some, none, "request");
            tracing::warn!(target: "elsewhere", yes = true, below = -7, large = u64::MAX, whole = 2.0, "text {}", 1);
            tracing::error!(list = ?[1, 2], umlaut = "größer");
            tracing::debug!("bare");
            tracing::trace!(e = "", "");
        });
        let without_time = |lines: &str| lines.lines().map(|line| line[27..].to_owned()).collect::<Vec<_>>();
        assert_eq!(without_time(&ours), without_time(&compact));
        assert_eq!(without_time(&ours).len(), 5);
    }

    #[test]
    fn times_are_those_of_the_compact_format() {
        let [ours, compact] = both(|| tracing::info!("line"));
        assert!(ours[..27] <= compact[..27], "{ours}{compact}");
        let shape = |line: &str| line[..27].replace(|c: char| c.is_ascii_digit(), "0");
        assert_eq!(shape(&ours), shape(&compact));
    }

    #[test]
    fn nobody_can_begin_a_line() {
        let [ours, _] = both(|| {
            let error = io::Error::other("one\ntwo \u{1b}[31m");
            tracing::info!(error = &error as &dyn std::error::Error, shown = %"a\rb", text = "c\nd", "{}", "e\nf");
        });
        assert_eq!(ours.lines().count(), 1, "{ours}");
        for shown in ["one\\ntwo \\u{1b}[31m", "a\\rb", "c\\nd", "e\\nf"] {
            assert!(ours.contains(shown), "{ours}");
        }
    }
}
