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
/// for a quarter of what that costs: there is a line for every request.
pub(super) struct TextLine;

impl<S, N> FormatEvent<S, N> for TextLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut line: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        write!(line, "{}", humantime::format_rfc3339_micros(SystemTime::now()))?;
        line.write_str(match *metadata.level() {
            tracing::Level::ERROR => " ERROR ",
            tracing::Level::WARN => "  WARN ",
            tracing::Level::INFO => "  INFO ",
            tracing::Level::DEBUG => " DEBUG ",
            tracing::Level::TRACE => " TRACE ",
        })?;
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            line.write_str(span.name())?;
            line.write_char(':')?;
        }
        line.write_str(metadata.target())?;
        line.write_char(':')?;
        let mut fields = Fields { line: &mut line, result: Ok(()) };
        event.record(&mut fields);
        fields.result?;
        line.write_char('\n')
    }
}

/// Writes each field behind a space, its name before it unless it is the message.
struct Fields<'a, 'w> {
    line: &'a mut Writer<'w>,
    result: fmt::Result,
}

impl Fields<'_, '_> {
    fn field(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let write = |line: &mut Writer<'_>| {
            line.write_char(' ')?;
            if field.name() != "message" {
                line.write_str(field.name())?;
                line.write_char('=')?;
            }
            value(line)
        };
        if self.result.is_ok() {
            self.result = write(self.line);
        }
    }
}

impl Visit for Fields<'_, '_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            return self.field(field, |line| OneLine(line).write_str(value));
        }
        let is_plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'));
        self.field(field, |line| {
            if !is_plain {
                return write!(line, "{value:?}");
            }
            line.write_char('"')?;
            line.write_str(value)?;
            line.write_char('"')
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, |line| line.write_str(itoa::Buffer::new().format(value)));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |line| line.write_str(itoa::Buffer::new().format(value)));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.field(field, |line| {
            let mut line = OneLine(line);
            write!(line, "{value}")?;
            let mut source = value.source();
            while let Some(error) = source {
                write!(line, ": {error}")?;
                source = error.source();
            }
            Ok(())
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field, |line| write!(OneLine(line), "{value:?}"));
    }
}

/// Shows control characters instead of writing them: what others have said can neither begin a
/// line nor command a terminal.
struct OneLine<'a, 'w>(&'a mut Writer<'w>);

impl Write for OneLine<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(char::is_control) {
            let (plain, control) = rest.split_at(at);
            let mut control = control.chars();
            self.0.write_str(plain)?;
            write!(self.0, "{}", control.next().unwrap_or_default().escape_default())?;
            rest = control.as_str();
        }
        self.0.write_str(rest)
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
