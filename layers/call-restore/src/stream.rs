use tower_responses_core::sse::Pipe;

use crate::Restorer;

/// Restores a stream without a body around it: chunks in, chunks out, as a `response_body_filter`
/// of pingora wants it, or WebSocket frames.
///
/// ```
/// use tower_responses_call_restore::{Restorer, StreamRestorer};
/// use tower_responses_core::{ClientTool, ToolKind, ToolMap};
///
/// let mut tools = ToolMap::builder();
/// tools.tool("mcp__fs__read", ClientTool::new(ToolKind::Function, Some("mcp__fs"), "read"));
///
/// let mut restorer = StreamRestorer::new(Restorer::new(tools.build()), 64 << 20);
/// let mut out = Vec::new();
/// for chunk in [
///     "data: {\"type\":\"response.output_item.done\",\"output_index\":0,\"item\":{\"type\":\"function_call\",\"id\":\"fc_1\",",
///     "\"call_id\":\"call_1\",\"name\":\"mcp__fs__read\",\"arguments\":\"{}\",\"status\":\"completed\"}}\n\n",
/// ] {
///     out.extend(restorer.push(chunk.into()).unwrap());
/// }
/// out.extend(restorer.end());
/// assert!(String::from_utf8(out).unwrap().contains(r#""namespace":"mcp__fs""#));
/// ```
pub type StreamRestorer = Pipe<Restorer>;
