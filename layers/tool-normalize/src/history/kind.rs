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
const HOSTED: [&str; 18] = [
    "apply_patch_call",
    "apply_patch_call_output",
    "code_interpreter_call",
    "computer_call",
    "computer_call_output",
    "file_search_call",
    "image_generation_call",
    "local_shell_call",
    "local_shell_call_output",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "program",
    "program_output",
    "shell_call",
    "shell_call_output",
    "web_search_call",
];

impl Kind {
    pub(super) fn of(item: &Value) -> Self {
        let Some(kind) = item.member_str("type") else {
            // Both may be written without a type.
            return match item.member("role") {
                Some(_) => Self::Message,
                None if item.member("id").is_some() && item.member("content").is_none() => Self::Reference,
                None => Self::Unknown,
            };
        };
        match &*kind {
            "message" => Self::Message,
            "function_call" => Self::FunctionCall,
            "function_call_output" => Self::FunctionOutput,
            "custom_tool_call" => Self::CustomCall,
            "custom_tool_call_output" => Self::CustomOutput,
            "tool_search_call" => Self::SearchCall,
            "tool_search_output" => Self::SearchOutput,
            "additional_tools" => Self::AdditionalTools,
            "reasoning" => Self::Reasoning,
            "agent_message" => Self::AgentMessage,
            "compaction" | "compaction_summary" | "context_compaction" => Self::Compaction,
            "compaction_trigger" => Self::CompactionTrigger,
            "item_reference" => Self::Reference,
            kind if HOSTED.contains(&kind) => Self::Hosted,
            _ => Self::Unknown,
        }
    }
}
