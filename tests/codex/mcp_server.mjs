// A small MCP server on stdio: `node mcp_server.mjs TOOL [TOOL ...]`.
// Every tool takes a text and answers `NAME heard: TEXT`.
import { createInterface } from "node:readline";

const tools = process.argv.slice(2).map((name) => ({
  name,
  description: `Says what it heard, in the manner of ${name}.`,
  inputSchema: { type: "object", properties: { text: { type: "string" } }, required: ["text"], additionalProperties: false },
  annotations: { readOnlyHint: true },
}));

const methods = {
  initialize: ({ protocolVersion }) => ({
    protocolVersion: protocolVersion ?? "2025-06-18",
    capabilities: { tools: {} },
    serverInfo: { name: "small", version: "1.0.0" },
  }),
  ping: () => ({}),
  "tools/list": () => ({ tools }),
  "tools/call": ({ name, arguments: { text } }) => ({
    content: [{ type: "text", text: `${name} heard: ${text}` }],
    isError: false,
  }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue; // a notification
  const reply = methods[method]
    ? { result: methods[method](params ?? {}) }
    : { error: { code: -32601, message: `there is no ${method}` } };
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...reply })}\n`);
}
