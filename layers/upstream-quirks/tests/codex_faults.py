"""Scenarios for the Codex rig: an upstream that fails, and what Codex 0.169 is to make of it."""
from kit import *

OVERFLOW = {"error": {"message": "This model's maximum context length is 65536 tokens. However, your prompt contains at least 65537 input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=65537)",
                      "type": "BadRequestError", "param": "input_tokens", "code": 400}}


RUN = call("exec_command", {"cmd": "echo ran >> ran.txt; cat ran.txt"})

scenario(
    "fault_overflow", "a prompt that is too long: Codex says so, and does not send it again",
    rc=1, turns=[turn(status=400, body=OVERFLOW)],
    checks=[printed("ran out of room in the model's context window"), requests(1)])

scenario(
    "fault_overflow_late", "the same, after the stream had to be opened",
    rc=1, turns=[turn(status=400, body=OVERFLOW, delay=2.5)],
    checks=[printed("ran out of room in the model's context window"), requests(1)])

scenario(
    "fault_silence", "6 seconds of silence in a stream, with an idle limit of 2.5",
    provider={"stream_idle_timeout_ms": 2500},
    turns=[turn(say("SILENCE SURVIVED"), pause={"after": "response.output_item.added", "nth": 1, "seconds": 6})],
    checks=[final("SILENCE SURVIVED"), requests(1), not_printed("Reconnecting")])

scenario(
    "fault_silence_before_headers", "6 seconds before the headers, with an idle limit of 2.5",
    provider={"stream_idle_timeout_ms": 2500},
    turns=[turn(say("LATE BUT THERE"), delay=6)],
    checks=[final("LATE BUT THERE"), requests(1), not_printed("Reconnecting")])

scenario(
    "fault_cut_in_call", "a stream that is cut in the middle of a call is tried again; the call runs once",
    turns=[turn(RUN, cut={"after": "response.function_call_arguments.delta", "nth": 1, "how": "eof"}), turn(RUN), turn(say("RAN ONCE"))],
    checks=[final("RAN ONCE"), file("ran.txt", "ran\n"), requests(3)])

scenario(
    "fault_reset_after_call", "a stream that is reset after a call was done: the call ran, and does not run again",
    turns=[turn(RUN, cut={"after": "response.output_item.done", "nth": 1, "how": "reset"}), turn(say("KEPT"))],
    checks=[final("KEPT"), file("ran.txt", "ran\n"), requests(2), output(1, "ran")])

scenario(
    "fault_500_then_fine", "a 500 is tried again",
    turns=[turn(status=500, body={"detail": "oops"}), turn(say("SECOND TIME LUCKY"))],
    checks=[final("SECOND TIME LUCKY"), requests(2), client_saw_status(500)])

scenario(
    "fault_429_retry_after", "a 429 with Retry-After is waited for",
    turns=[turn(status=429, body={"error": "slow down"}, headers={"retry-after": "2"}), turn(say("WAITED"))],
    checks=[final("WAITED"), waited(1, 1.9), client_saw_status(429)])
