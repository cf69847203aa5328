"""What works over HTTP works over the WebSocket: scenarios for a rig that runs the real Codex CLI.

    run.py --gateway 'CMD' --scenarios tests/codex/websocket_scenarios.py
"""
from kit import *

SRV = {"srv": []}
SOCKET = {"supports_websockets": True}
PATCH = add_file_patch("hello.txt", "hi there", "second line")

scenario(
    "ws_apply_patch", "the custom tool apply_patch over the WebSocket",
    provider=SOCKET, catalog=[freeform()],
    turns=[turn(say("I write the file."), call("apply_patch", input=PATCH)),
           turn(call("apply_patch", input="*** Begin Patch\n*** Update File: hello.txt\n@@\n hi there\n-second line\n+line two\n*** End Patch\n")),
           turn(say("WS PATCH FINISHED"))],
    checks=[websocket_only(1), output(1, "Success", "hello.txt"), output(2, "Success"), file("hello.txt", "hi there\nline two\n"),
            received(3, "I write the file.", "*** Add File: hello.txt"), final("WS PATCH FINISHED"), http_upstream_only(), history_names_declared(), stable_prefix()])

scenario(
    "ws_tool_search", "a deferred MCP tool is found and called over the WebSocket",
    provider=SOCKET, catalog=[entry(supports_search_tool=True)], mcp=SRV,
    turns=[turn(call("tool_search", {"query": "echo text", "limit": 2})), turn(call("echo", {"text": "found"})), turn(call("echo", {"text": "again"})),
           turn(say("WS SEARCH FINISHED"))],
    checks=[websocket_only(1), declares(1, "echo", times=0), declares(2, "echo", times=1), declares(4, "echo", times=1), output(1, "echo"),
            output(2, "ECHO:found"), output(3, "ECHO:again"), final("WS SEARCH FINISHED"), http_upstream_only(), history_names_declared(), stable_prefix()])

scenario(
    "ws_lite", "lite mode over the WebSocket: the prewarm has no input, tools come as an item",
    provider=SOCKET, catalog=[freeform(use_responses_lite=True)], mcp=SRV,
    turns=[turn(call("exec_command", {"cmd": "echo lite-$((5+6))"})), turn(call("apply_patch", input=PATCH)), turn(call(["srv", "echo"], {"text": "lite"})),
           turn(say("WS LITE FINISHED"))],
    checks=[websocket_only(1), output(1, "lite-11"), output(2, "Success"), file("hello.txt", "hi there\nsecond line\n"), output(3, "ECHO:lite"),
            declares(1, "exec_command"), final("WS LITE FINISHED"), http_upstream_only(), history_names_declared(), stable_prefix()])

scenario(
    "ws_compaction", "local compaction: it has a connection of its own, the next frame begins anew",
    provider=SOCKET, catalog=[entry(context_window=100000, auto_compact_token_limit=900)],
    turns=[turn(call("exec_command", {"cmd": "echo step-$((8+9))"}), usage={"input_tokens": 950, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": 20,
                                                                            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 970}),
           turn(say("SUMMARY: one step was done")), turn(call("exec_command", {"cmd": "echo after-$((7+8))"})), turn(say("WS COMPACTED"))],
    checks=[websocket_only((2, 3)), printed("context compacted"), received(2, "step-17"), received(3, "SUMMARY: one step was done"), output(3, "after-15"),
            received(4, "SUMMARY: one step was done", "after-15"), final("WS COMPACTED"), http_upstream_only()])

scenario(
    "ws_cut_in_mid_call", "the stream breaks off after a call: Codex connects again and sends all of it",
    provider=SOCKET, mcp=SRV,
    turns=[turn(call("exec_command", {"cmd": "echo once >> count.txt; echo cut-$((4+4))"}), say("never seen whole"),
                cut={"after": "response.output_item.done", "how": "reset"}),
           turn(call(["srv", "echo"], {"text": "after the cut"})), turn(say("WS CUT FINISHED"))],
    checks=[websocket_only((1, 2)), received(2, "hello world", "cut-8"), file("count.txt", "once\n"), output(2, "ECHO:after the cut"),
            final("WS CUT FINISHED"), http_upstream_only(), history_names_declared()])

scenario(
    "ws_cut_before_call", "the stream breaks off within a call: it is not run, and asked for again",
    provider=SOCKET,
    turns=[turn(call("exec_command", {"cmd": "echo half >> half.txt; echo a long command, so that there are several deltas of it"}),
                cut={"after": "response.function_call_arguments.delta", "nth": 2, "how": "reset"}),
           turn(call("exec_command", {"cmd": "echo whole-$((6+6)); test ! -e half.txt && echo clean"})), turn(say("WS HALF FINISHED"))],
    checks=[websocket_only((1, 2)), output(2, "whole-12", "clean"), final("WS HALF FINISHED"), http_upstream_only()])

scenario(
    "ws_resume", "another process goes on with the conversation: a new connection, with all of the history",
    provider=SOCKET, mcp=SRV,
    runs=[{}, {"args": ["resume", "--last"], "prompt": "and again"}],
    turns=[turn(call(["srv", "echo"], {"text": "before"})), turn(say("FIRST PART")), turn(call(["srv", "echo"], {"text": "resumed"})), turn(say("WS RESUMED"))],
    checks=[websocket_only(2), received(3, "hello world", "ECHO:before", "FIRST PART", "and again"), output(3, "ECHO:resumed"), final("WS RESUMED"),
            http_upstream_only(), history_names_declared(), stable_prefix()])

scenario(
    "ws_upstream_error", "an error of the upstream is told once, with its words",
    provider=SOCKET,
    turns=[turn(status=400, body={"error": {"message": "the rig says no", "type": "invalid_request_error", "param": None, "code": "no"}})],
    rc=1, checks=[websocket_only(1), printed("the rig says no")])
