use super::{Event, filter::Step};
use crate::json::{
    Value,
    scan::{self, Repeats},
};

/// Keeps `sequence_number` contiguous where events were added or taken away.
///
/// As long as nothing was, no event is opened for its number.
#[derive(Debug, Default)]
pub(super) struct Numbering {
    /// What has to be added to the number that the upstream gave.
    shift: i64,
    last: Last,
    /// What [`Last::Untouched`] is about. Copied: a slice would keep the chunk alive that it lies
    /// in, and with it the buffer of a connection that may wait for long.
    data: Vec<u8>,
}

/// Data that is longer is read for its number at once.
const COPY_BELOW: usize = 1024;

#[derive(Debug, Default)]
enum Last {
    #[default]
    Nothing,
    /// It left as it came, but for the shift: its data is read only if somebody asks for its
    /// number.
    Untouched(i64),
    Number(Option<i64>),
}

impl Numbering {
    /// The event as it leaves, or `None` for a gap.
    pub(super) fn apply(&mut self, step: Step) -> Option<Event> {
        let Step::Event(mut event) = step else {
            self.shift -= 1;
            return None;
        };
        if event.is_comment() {
            return Some(event);
        }
        if event.is_ours() {
            let number = match self.last {
                Last::Nothing => Some(0),
                _ => self.last_number().map(|last| last + 1),
            };
            if let (Some(number), None) = (number, event.sequence_number()) {
                set_number(&mut event, number);
            }
            self.shift += 1;
            self.last = Last::Number(event.sequence_number());
            return Some(event);
        }
        if self.shift != 0
            && let Some(number) = event.sequence_number()
        {
            let number = number + self.shift;
            set_number(&mut event, number);
            self.last = Last::Number(Some(number));
        } else if event.is_changed() || event.data().len() >= COPY_BELOW {
            self.last = Last::Number(event.sequence_number());
        } else {
            self.data.clear();
            self.data.extend_from_slice(event.data());
            self.last = Last::Untouched(self.shift);
        }
        Some(event)
    }

    fn last_number(&self) -> Option<i64> {
        match &self.last {
            Last::Nothing => None,
            Last::Untouched(shift) => {
                let number = std::str::from_utf8(scan::find(&self.data, "sequence_number", Repeats::Last)?).ok()?;
                number.parse::<i64>().ok().map(|number| number + shift)
            }
            Last::Number(number) => *number,
        }
    }
}

fn set_number(event: &mut Event, number: i64) {
    if let Some(object) = event.object_mut() {
        object.set("sequence_number", Value::serialize(&number));
    }
}
