/// What an event of a stream is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The response as it stands.
    Created,
    Progress,
    ItemAdded,
    ItemDone,
    PartAdded(PartEvents),
    PartDone(PartEvents),
    /// A piece of text.
    Delta(Text),
    /// The whole text.
    TextDone(Text),
    /// The response as it ended.
    Terminal,
    Error,
    Other,
}

/// The two families of events about parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartEvents {
    Content,
    Summary,
}

/// Text that comes in pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    Output,
    Refusal,
    Reasoning,
    Summary,
    /// The arguments of a function call, the input of a custom one.
    Arguments,
}

impl Kind {
    pub(super) fn of(kind: &str) -> Self {
        let Some(kind) = kind.strip_prefix("response.") else {
            return if kind == "error" { Self::Error } else { Self::Other };
        };
        match kind {
            "output_text.delta" => Self::Delta(Text::Output),
            "function_call_arguments.delta" | "custom_tool_call_input.delta" => Self::Delta(Text::Arguments),
            "reasoning_text.delta" => Self::Delta(Text::Reasoning),
            "reasoning_summary_text.delta" => Self::Delta(Text::Summary),
            "refusal.delta" => Self::Delta(Text::Refusal),
            "output_text.done" => Self::TextDone(Text::Output),
            "function_call_arguments.done" | "custom_tool_call_input.done" => Self::TextDone(Text::Arguments),
            "reasoning_text.done" => Self::TextDone(Text::Reasoning),
            "reasoning_summary_text.done" => Self::TextDone(Text::Summary),
            "refusal.done" => Self::TextDone(Text::Refusal),
            "output_item.added" => Self::ItemAdded,
            "output_item.done" => Self::ItemDone,
            // An older name of vLLM's for the parts of reasoning, in the shape of content parts.
            "reasoning_part.added" => Self::PartAdded(PartEvents::Content),
            "reasoning_part.done" => Self::PartDone(PartEvents::Content),
            "content_part.added" => Self::PartAdded(PartEvents::Content),
            "content_part.done" => Self::PartDone(PartEvents::Content),
            "reasoning_summary_part.added" => Self::PartAdded(PartEvents::Summary),
            "reasoning_summary_part.done" => Self::PartDone(PartEvents::Summary),
            "created" => Self::Created,
            "in_progress" | "queued" => Self::Progress,
            "completed" | "incomplete" | "failed" | "cancelled" => Self::Terminal,
            _ => Self::Other,
        }
    }
}

impl PartEvents {
    /// The family's events, without `.added` or `.done`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Content => "response.content_part",
            Self::Summary => "response.reasoning_summary_part",
        }
    }

    /// The member that says which part it is.
    pub(super) fn index(self) -> &'static str {
        match self {
            Self::Content => "content_index",
            Self::Summary => "summary_index",
        }
    }
}

impl Text {
    /// The text that a part of this type holds.
    pub(super) fn of_part(kind: &str) -> Option<Self> {
        Some(match kind {
            "output_text" => Self::Output,
            "refusal" => Self::Refusal,
            "reasoning_text" => Self::Reasoning,
            "summary_text" => Self::Summary,
            _ => return None,
        })
    }

    /// The type of the part that holds the text.
    pub(super) fn part(self) -> &'static str {
        match self {
            Self::Output => "output_text",
            Self::Refusal => "refusal",
            Self::Reasoning => "reasoning_text",
            Self::Summary => "summary_text",
            Self::Arguments => "arguments",
        }
    }

    /// The member that holds the text.
    pub(super) fn member(self) -> &'static str {
        match self {
            Self::Refusal => "refusal",
            Self::Arguments => "arguments",
            _ => "text",
        }
    }

    pub(super) fn done_event(self) -> &'static str {
        match self {
            Self::Output => "response.output_text.done",
            Self::Refusal => "response.refusal.done",
            Self::Reasoning => "response.reasoning_text.done",
            Self::Summary => "response.reasoning_summary_text.done",
            Self::Arguments => "response.function_call_arguments.done",
        }
    }

    pub(super) fn delta_event(self) -> &'static str {
        match self {
            Self::Output => "response.output_text.delta",
            Self::Refusal => "response.refusal.delta",
            Self::Reasoning => "response.reasoning_text.delta",
            Self::Summary => "response.reasoning_summary_text.delta",
            Self::Arguments => "response.function_call_arguments.delta",
        }
    }

    pub(super) fn events(self) -> PartEvents {
        if self == Self::Summary { PartEvents::Summary } else { PartEvents::Content }
    }
}
