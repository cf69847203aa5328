//! Which items there are.

use tower_responses_core::json::Value;

/// What kind of item this is, for the purposes of translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Message,
    FunctionCall,
    FunctionOutput,
    CustomCall,
    CustomOutput,
    SearchCall,
    SearchOutput,
    AdditionalTools,
    Reasoning,
    AgentMessage,
    Compaction,
    CompactionTrigger,
    Reference,
    /// Tells of a tool that a server or a program around the model executed.
    Hosted,
    Unknown,
}

/// Items of hosted tools, beside calls of them.
const HOSTED: [&[u8]; 18] = [
    b"apply_patch_call",
    b"apply_patch_call_output",
    b"code_interpreter_call",
    b"computer_call",
    b"computer_call_output",
    b"file_search_call",
    b"image_generation_call",
    b"local_shell_call",
    b"local_shell_call_output",
    b"mcp_approval_request",
    b"mcp_approval_response",
    b"mcp_call",
    b"mcp_list_tools",
    b"program",
    b"program_output",
    b"shell_call",
    b"shell_call_output",
    b"web_search_call",
];

impl Kind {
    pub(super) fn of(item: &Value) -> Self {
        let Some(kind) = item.member_bytes("type") else {
            // Both may be written without a type.
            return match item.member("role") {
                Some(_) => Self::Message,
                None if item.member("id").is_some() && item.member("content").is_none() => Self::Reference,
                None => Self::Unknown,
            };
        };
        match &kind[..] {
            b"message" => Self::Message,
            b"function_call" => Self::FunctionCall,
            b"function_call_output" => Self::FunctionOutput,
            b"custom_tool_call" => Self::CustomCall,
            b"custom_tool_call_output" => Self::CustomOutput,
            b"tool_search_call" => Self::SearchCall,
            b"tool_search_output" => Self::SearchOutput,
            b"additional_tools" => Self::AdditionalTools,
            b"reasoning" => Self::Reasoning,
            b"agent_message" => Self::AgentMessage,
            b"compaction" | b"compaction_summary" | b"context_compaction" => Self::Compaction,
            b"compaction_trigger" => Self::CompactionTrigger,
            b"item_reference" => Self::Reference,
            kind if HOSTED.contains(&kind) => Self::Hosted,
            _ => Self::Unknown,
        }
    }
}
