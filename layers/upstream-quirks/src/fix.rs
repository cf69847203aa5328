//! The table of fixes.

use std::fmt;

/// Which way the thing travels that a [`Fix`] changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Requests, on their way to the upstream.
    ToUpstream,
    /// Responses, on their way to the client.
    ToClient,
}

macro_rules! fixes {
    ($($fix:ident $name:literal $direction:ident $seen:literal $what:literal;)*) => {
        /// One thing that is put right. Each can be switched, and each is counted as
        /// `tower_responses_quirk_fixed_total{fix=…}`, once for each request that needed it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Fix {
            $(
                #[doc = $what]
                #[doc = ""]
                #[doc = concat!("Seen on: ", $seen, ".")]
                $fix,
            )*
        }

        impl Fix {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$fix),*];

            /// The name, as in settings and in metrics.
            pub fn name(self) -> &'static str {
                match self { $(Self::$fix => $name),* }
            }

            /// What is put right, in words.
            pub fn what(self) -> &'static str {
                match self { $(Self::$fix => $what),* }
            }

            /// Which upstream or client was seen to need it, and in which version; what was not
            /// measured but reported says so.
            pub fn seen_on(self) -> &'static str {
                match self { $(Self::$fix => $seen),* }
            }

            /// Which way the thing travels that it changes.
            pub fn direction(self) -> Direction {
                match self { $(Self::$fix => Direction::$direction),* }
            }
        }
    };
}

fixes! {
    EncryptedReasoning "encrypted_reasoning" ToUpstream "vLLM 0.32.0"
        "`encrypted_content` of reasoning items, which only the server that made it can read, becomes `null`: vLLM answers 400 to it.";
    ReasoningSummary "reasoning_summary" ToUpstream "vLLM 0.32.0"
        "A reasoning item without `summary` gets an empty one; its `text` parts become `reasoning_text`.";
    AssistantContent "assistant_content" ToUpstream "vLLM 0.32.0"
        "Of an assistant message the first part alone reaches the model, none or a refusal is a 500: text parts become one, a refusal becomes text, a message without content leaves.";
    ServiceTier "service_tier" ToUpstream "vLLM 0.32.0"
        "A `service_tier` outside of the five that the server knows leaves.";
    IncludeValues "include_values" ToUpstream "vLLM 0.32.0"
        "`include` values that the server refuses leave.";
    NullMembers "null_members" ToUpstream "vLLM 0.32.0"
        "`tools`, `tool_choice`, `truncation`, `background` and `service_tier` that are `null` leave: the server wants a value or none.";
    ImageDetail "image_detail" ToUpstream "vLLM 0.32.0"
        "An image in the output of a call gets `detail: auto` where it has none.";
    FoldInstructions "fold_instructions" ToUpstream "reported: chat templates that know one leading system message"
        "System and developer messages that open the input are joined with `instructions`; later ones become user messages.";

    MissingTerminal "missing_terminal" ToClient "vLLM 0.32.0 (bad schema, death of the engine)"
        "A stream that ends without a terminal event, or breaks off, ends with `response.failed`; what was open is closed as incomplete, a call is never closed.";
    ErrorEvent "error_event" ToClient "Codex 0.169, which ignores the event; reported: proxies"
        "An `error` event is followed by `response.failed`.";
    FailedError "failed_error" ToClient "scripted only"
        "A `response.failed` without an error gets one.";
    IncompleteStatus "incomplete_status" ToClient "vLLM 0.32.0"
        "`response.completed` with the status `incomplete` becomes `response.incomplete`, and the item that was cut says so.";
    CutCall "cut_call" ToClient "vLLM 0.32.0"
        "A call whose arguments were cut is not shown as done.";
    ContextOverflow "context_overflow" ToClient "vLLM 0.32.0; reported: SGLang, llama.cpp, OpenRouter"
        "A prompt that is too long is 400 with the code `context_length_exceeded`, or `response.failed` with that code.";
    GatewayKey "gateway_key" ToClient "any upstream with a key"
        "401 and 403 to a key that the gateway holds are 502: the client's own key is not what was refused.";
    ErrorBody "error_body" ToClient "vLLM 0.32.0 (`{\"detail\":…}`, `{\"error\":\"text\"}`), proxies (HTML, text)"
        "An error whose body is not `{\"error\":{…}}` is wrapped, its text kept up to 4 KiB.";
    ErrorCode "error_code" ToClient "vLLM 0.32.0"
        "A `code` of an error that is a number becomes a string.";
    ErrorStatus "error_status" ToClient "reported: OpenRouter"
        "An error in a body with the status 200 gets the status that it names, or 502.";
    Heartbeat "heartbeat" ToClient "any upstream that thinks for long; Codex 0.169 gives up on silence"
        "A stream that is silent for too long repeats `response.in_progress`.";
    EarlyStream "early_stream" ToClient "any upstream with a queue of requests"
        "A stream whose headers are late is opened with a `response.created` of our own.";
    JsonForStream "json_for_stream" ToClient "scripted only; Codex 0.169 takes such an answer for a broken stream"
        "A whole response where a stream was asked for is told as a stream.";
    Linger "linger" ToClient "vLLM 0.32.0"
        "After the terminal event the client's body ends; the upstream's is read to its end for a moment, so that the connection can be used again.";
    MissingCreated "missing_created" ToClient "scripted only"
        "A stream that does not begin with `response.created` gets one: SDKs cannot read it otherwise.";
    DoneMarker "done_marker" ToClient "reported: servers that speak chat completions as well"
        "`data: [DONE]` leaves, as do events that are no JSON.";
    MissingItemEvents "missing_item_events" ToClient "reported: LiteLLM"
        "An item, or a part of one, gets the `added` and `done` events that it lacks.";
    ItemIds "item_ids" ToClient "reported: older vLLM"
        "An item has one id and one `content_index` in all events and in the final object.";
    SequenceNumbers "sequence_numbers" ToClient "reported: older vLLM (all -1)"
        "Events whose numbers are missing or negative are numbered.";
    WhitespaceMessage "whitespace_message" ToClient "vLLM 0.32.0 with a reasoning parser"
        "A message of nothing but white space next to a call leaves.";
    ItemStatus "item_status" ToClient "vLLM 0.32.0"
        "A response or an item whose `status` is null or missing gets one.";
    ContentArrays "content_arrays" ToClient "vLLM 0.32.0"
        "`annotations` and `logprobs` of text are arrays, `summary` of reasoning is one.";
    Usage "usage" ToClient "Codex 0.169 and the OpenAI SDK 3.52, which refuse less; reported: servers that count as chat completions do"
        "`usage` has its three counts and the details that clients require.";
    ResponseFields "response_fields" ToClient "vLLM 0.32.0"
        "A response object has all members that strict clients require.";
    EchoedTools "echoed_tools" ToClient "scripted only"
        "Function tools in the response have `description`, `parameters` and `strict`.";
    ModelHeader "model_header" ToClient "Codex 0.169, which warns of rerouting"
        "The `openai-model` header leaves.";
}

impl fmt::Display for Fix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Fix {
    type Err = UnknownFix;

    fn from_str(name: &str) -> Result<Self, UnknownFix> {
        Self::ALL.iter().copied().find(|fix| fix.name() == name).ok_or_else(|| UnknownFix(name.to_owned()))
    }
}

/// No fix has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFix(String);

impl fmt::Display for UnknownFix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no fix called '{}'", self.0)
    }
}

impl std::error::Error for UnknownFix {}

/// A set of fixes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Fixes(u64);

const _: () = assert!(Fix::ALL.len() <= 64);

impl Fixes {
    /// No fix.
    pub const NONE: Self = Self(0);

    /// Whether `fix` is among them.
    pub const fn contains(self, fix: Fix) -> bool {
        self.0 & (1 << fix as u8) != 0
    }

    /// These and `fix`.
    #[must_use]
    pub const fn with(self, fix: Fix) -> Self {
        Self(self.0 | 1 << fix as u8)
    }

    /// These without `fix`.
    #[must_use]
    pub const fn without(self, fix: Fix) -> Self {
        Self(self.0 & !(1 << fix as u8))
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The fixes, in the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Fix> {
        Fix::ALL.iter().copied().filter(move |fix| self.contains(*fix))
    }
}

impl FromIterator<Fix> for Fixes {
    fn from_iter<I: IntoIterator<Item = Fix>>(fixes: I) -> Self {
        fixes.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Fixes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// The fixes of one exchange: which are on, and which were counted for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tally {
    on: Fixes,
    counted: Fixes,
}

impl Tally {
    pub(crate) const fn new(on: Fixes) -> Self {
        Self { on, counted: Fixes::NONE }
    }

    pub(crate) const fn on(&self, fix: Fix) -> bool {
        self.on.contains(fix)
    }

    /// Notes that `fix` was needed.
    pub(crate) fn count(&mut self, fix: Fix) {
        if !self.counted.contains(fix) {
            self.counted = self.counted.with(fix);
            metrics::counter!("tower_responses_quirk_fixed_total", "fix" => fix.name()).increment(1);
            tracing::debug!(fix = fix.name(), "an exchange with the upstream was put right");
        }
    }
}
