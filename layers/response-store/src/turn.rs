//! What one response adds to a conversation, and how that is written down.

mod codec;
mod object;
#[cfg(any(test, feature = "conformance"))]
pub(crate) mod testing;

use std::borrow::Cow;

use bytes::Bytes;
use tower_responses_core::json::{Object, Value};

use self::codec::{Reader, Section, Writer};
use crate::{ItemKey, Owner, PendingCall, Record, ResponseId, Shared, StoreError, Stored, items::Calls, items::Labels};

pub(crate) use self::object::rebuild;

/// What one response adds to a conversation: its input items, its output items, and what else
/// the response says.
///
/// All parts lie in one piece of memory and in the shapes in which the client sent and got them.
#[derive(Debug, Clone)]
pub struct Turn {
    input: Vec<Bytes>,
    output: Vec<OutputItem>,
    pending: Vec<PendingCall>,
    failed: bool,
    depth: usize,
    own: Bytes,
    numbers: Option<Bytes>,
    tool_choice: Option<Bytes>,
    roles: Vec<Role>,
    size: usize,
}

/// An item of a response's `output`.
#[derive(Debug, Clone)]
pub struct OutputItem {
    /// The JSON.
    pub text: Bytes,
    /// Whether a later turn shows it to the model: a call that was cut is not shown.
    pub replayed: bool,
}

/// What a shared text is to a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Role {
    /// The tools in force, as some request of the conversation declared them.
    Tools = b't',
    /// The response's `tools`, where they are other text.
    EchoedTools = b'e',
    /// The response's `instructions`.
    Instructions = b'i',
    /// The response object without all that differs from turn to turn.
    Frame = b'f',
}

/// What a request adds to its conversation, written down: that can be done before the response is
/// there.
#[derive(Debug)]
pub struct TurnInput {
    writer: Writer,
    calls: Calls,
    items: Vec<ItemKey>,
    /// Whether the items of the request are found by their ids.
    is_named: bool,
    tools: Option<Shared>,
    known: Vec<Shared>,
}

/// A request that brings more items than this brings a conversation of its own along, and does not
/// refer to what it brings: outside of its own conversation only what the response adds can be
/// referred to. An entry for each of hundreds of items would cost more than all else.
const MAX_NAMED_INPUT: usize = 64;

impl TurnInput {
    /// Writes down the items of a request, without those of earlier turns, after `pending`, the
    /// calls that the turns before left unanswered. There will be `room` for so many bytes more.
    /// No item may have a name twice: see [`RequestBody::read`](tower_responses_core::RequestBody::read).
    ///
    /// `tools` are those in force, and `known` the shared texts of the turn before: what is the
    /// same is not hashed again.
    pub fn new(
        owner: &Owner,
        items: &[Bytes],
        pending: Vec<PendingCall>,
        tools: Option<&Bytes>,
        known: Vec<Shared>,
        room: usize,
    ) -> Self {
        let mut input = Self::begin(items, pending, tools, known, room);
        input.write(owner, items);
        input
    }

    /// The same, with nothing written down of the items so far.
    pub(crate) fn begin(
        items: &[Bytes],
        pending: Vec<PendingCall>,
        tools: Option<&Bytes>,
        known: Vec<Shared>,
        room: usize,
    ) -> Self {
        let length = items.iter().map(|item| item.len() + 6).sum::<usize>();
        Self {
            writer: Writer::with_capacity(length + room),
            calls: Calls::new(pending),
            items: Vec::new(),
            is_named: items.len() <= MAX_NAMED_INPUT,
            tools: tools.map(|tools| share(&known, tools)),
            known,
        }
    }

    /// Writes down the next items of the request.
    pub(crate) fn write(&mut self, owner: &Owner, items: &[Bytes]) {
        for text in items {
            let item = Value::from_unique(text.clone());
            self.calls.item(&item);
            if self.is_named {
                self.name(owner, item.member_str("id"));
            }
            self.writer.section(Section::Input, text);
        }
        self.writer.check();
    }

    /// Writes down the next items of the response, behind all of the request.
    pub(crate) fn write_output(&mut self, owner: &Owner, items: &[Bytes]) {
        for text in items {
            let text = Value::from_text(text.clone()).into_unique();
            let item = Labels::of(&text);
            self.calls.labelled(&item);
            self.name(owner, item.id());
            self.writer.section(if item.is_cut_call() { Section::Cut } else { Section::Output }, &text.text());
        }
    }

    /// What was written down, and at which byte of the body it will stand.
    pub fn written(&mut self) -> (usize, Bytes) {
        self.writer.written()
    }

    /// Has an item found by its id.
    fn name(&mut self, owner: &Owner, id: Option<Cow<'_, str>>) {
        self.items.extend(id.map(|id| ItemKey::new(owner, &id)));
    }
}

fn share(known: &[Shared], text: &Bytes) -> Shared {
    let known = known.iter().find(|known| known.text() == text);
    known.cloned().unwrap_or_else(|| Shared::new(text.clone()))
}

/// What is known of a response at its end.
#[derive(Debug)]
pub struct NewTurn<'a> {
    /// Its id.
    pub id: ResponseId,
    /// What it continues.
    pub previous: Option<ResponseId>,
    /// How many turns came before it.
    pub depth: usize,
    /// Whose it is.
    pub owner: &'a Owner,
    /// What the request added.
    pub input: TurnInput,
    /// The items of the response.
    pub output: &'a [Bytes],
    /// The response object as the client gets it; its `output` is not looked at.
    pub response: &'a Object,
    /// The `tool_choice` that a later turn inherits.
    pub tool_choice: Option<&'a Bytes>,
}

impl NewTurn<'_> {
    /// Writes the turn down.
    pub fn into_record(self) -> Record {
        let mut input = self.input;
        let parts = object::take_apart(self.response);
        let echoed = parts.tools.filter(|echoed| input.tools.as_ref().is_none_or(|tools| tools.text() != echoed));
        let known = std::mem::take(&mut input.known);
        let texts = [
            (Role::Tools, input.tools.take()),
            (Role::EchoedTools, echoed.map(|text| share(&known, &text))),
            (Role::Instructions, parts.instructions.map(|text| share(&known, &text))),
            (Role::Frame, Some(share(&known, &parts.frame))),
        ];
        let (roles, shared): (Vec<_>, Vec<_>) =
            texts.into_iter().filter_map(|(role, text)| Some((role as u8, text?))).unzip();
        input.write_output(self.owner, self.output);
        let TurnInput { mut writer, calls, mut items, .. } = input;
        for call in calls.into_pending() {
            writer.section(Section::Pending, format!("{} {}", call.kind, call.call_id).as_bytes());
        }
        writer.section(Section::Depth, self.depth.to_string().as_bytes());
        writer.section(Section::Own, &parts.own);
        if let Some(numbers) = &parts.numbers {
            writer.section(Section::Numbers, numbers);
        }
        if let Some(choice) = self.tool_choice {
            writer.section(Section::ToolChoice, choice);
        }
        writer.section(Section::Roles, &roles);
        if parts.failed {
            writer.section(Section::Failed, b"");
        }
        items.sort_unstable();
        items.dedup();
        Record { id: self.id, previous: self.previous, owner: self.owner.clone(), body: writer.finish(), shared, items }
    }
}

impl Turn {
    /// Reads what [`NewTurn::into_record`] has written.
    ///
    /// # Errors
    /// [`Corrupt`](crate::StoreErrorKind::Corrupt) if it is anything else, down to one bit.
    pub fn decode(body: &Bytes) -> Result<Self, StoreError> {
        let mut turn = Self {
            input: Vec::new(),
            output: Vec::new(),
            pending: Vec::new(),
            failed: false,
            depth: 0,
            own: Bytes::new(),
            numbers: None,
            tool_choice: None,
            roles: Vec::new(),
            size: body.len(),
        };
        for section in Reader::new(body)? {
            let (section, text) = section?;
            turn.take(section, text)?;
        }
        Ok(turn)
    }

    fn take(&mut self, section: Section, text: Bytes) -> Result<(), StoreError> {
        match section {
            Section::Input => self.input.push(text),
            Section::Output => self.output.push(OutputItem { text, replayed: true }),
            Section::Cut => self.output.push(OutputItem { text, replayed: false }),
            Section::Pending => {
                let text = std::str::from_utf8(&text).map_err(|_| StoreError::corrupt("a call is no text"))?;
                let (kind, call_id) =
                    text.split_once(' ').ok_or_else(|| StoreError::corrupt("a call without an id"))?;
                self.pending.push(PendingCall { kind: kind.to_owned(), call_id: call_id.to_owned() });
            }
            Section::Depth => {
                let depth = std::str::from_utf8(&text).ok().and_then(|depth| depth.parse().ok());
                self.depth = depth.ok_or_else(|| StoreError::corrupt("the place of a response is no number"))?;
            }
            Section::Own => self.own = text,
            Section::Numbers => self.numbers = Some(text),
            Section::ToolChoice => self.tool_choice = Some(text),
            Section::Roles => {
                self.roles = text.iter().map(|role| Role::of(*role)).collect::<Result<_, _>>()?;
            }
            Section::Failed => self.failed = true,
        }
        Ok(())
    }

    /// The items that the request brought.
    pub fn input(&self) -> &[Bytes] {
        &self.input
    }

    /// The items that came back.
    pub fn output(&self) -> &[OutputItem] {
        &self.output
    }

    /// What a later turn shows to the model: the input, and the output but for cut calls.
    pub fn replayed(&self) -> impl Iterator<Item = &Bytes> {
        self.input.iter().chain(self.output.iter().filter(|item| item.replayed).map(|item| &item.text))
    }

    /// All items, the newest first.
    pub(crate) fn items_backwards(&self) -> impl Iterator<Item = &Bytes> {
        self.input.iter().chain(self.output.iter().map(|item| &item.text)).rev()
    }

    /// What [`find_items`](crate::ResponseStore::find_items) finds the turn by.
    pub fn item_keys(&self, owner: &Owner) -> Vec<ItemKey> {
        let all = self.input.iter().chain(self.output.iter().map(|item| &item.text));
        let id = |text: &Bytes| Value::from_unique(text.clone()).member_str("id").map(|id| ItemKey::new(owner, &id));
        all.filter_map(id).collect()
    }

    /// How many turns came before it: a chain of another length lacks one.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The calls that wait for an output after this turn.
    pub fn pending(&self) -> &[PendingCall] {
        &self.pending
    }

    /// Whether the response failed: it can be read, and not continued.
    pub fn is_failed(&self) -> bool {
        self.failed
    }

    /// The `tool_choice` that a later turn inherits.
    pub fn tool_choice(&self) -> Option<&Bytes> {
        self.tool_choice.as_ref()
    }

    /// The bytes that the turn takes, without what it shares.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The tools in force, out of the shared texts of the turn.
    pub fn tools<'a>(&self, shared: &'a [Shared]) -> Option<&'a Bytes> {
        self.part(shared, Role::Tools)
    }

    fn part<'a>(&self, shared: &'a [Shared], role: Role) -> Option<&'a Bytes> {
        let at = self.roles.iter().position(|known| *known == role)?;
        shared.get(at).map(Shared::text)
    }

    /// Checks that the shared texts are all there.
    pub(crate) fn check(&self, shared: &[Shared]) -> Result<(), StoreError> {
        if shared.len() == self.roles.len() {
            Ok(())
        } else {
            Err(StoreError::corrupt("a response has other shared texts than it was stored with"))
        }
    }
}

impl Role {
    fn of(byte: u8) -> Result<Self, StoreError> {
        [Self::Tools, Self::EchoedTools, Self::Instructions, Self::Frame]
            .into_iter()
            .find(|role| *role as u8 == byte)
            .ok_or_else(|| StoreError::corrupt("a response shares text of an unknown kind"))
    }
}

impl Stored {
    /// The response object as its client got it.
    ///
    /// # Errors
    /// [`Corrupt`](crate::StoreErrorKind::Corrupt) if what is stored is not whole.
    pub fn to_object(&self) -> Result<Object, StoreError> {
        let turn = Turn::decode(&self.body)?;
        turn.check(&self.shared)?;
        rebuild(self, &turn)
    }
}

#[cfg(test)]
mod tests;
