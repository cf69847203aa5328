"""Scenarios for the Codex rig: an upstream that fails, and what Codex 0.169 is to make of it.

Each fails without the layer (`--profile none`): Codex then does otherwise, or was told less.
"""
from kit import *

OVERFLOW = {"error": {"message": "This model's maximum context length is 65536 tokens. However, your prompt contains at least 65537 input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value=65537)",
                      "type": "BadRequestError", "param": "input_tokens", "code": 400}}


RUN = call("exec_command", {"cmd": "echo ran >> ran.txt; cat ran.txt"})


def told(text, times=1):
    """Codex received this text so many times at least, whatever it made of it."""
    def check(run):
        got = sum(bytes(c.received).count(text.encode()) for c in run.tap.connections)
        if got < times:
            return f"Codex received {text!r} {got} times, not {times}"
    return check


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
    "fault_silence_before_headers", "6 seconds before the headers: the stream is opened and kept alive (Codex's own limit begins with the headers)",
    provider={"stream_idle_timeout_ms": 2500},
    turns=[turn(say("LATE BUT THERE"), delay=6)],
    checks=[final("LATE BUT THERE"), requests(1), not_printed("Reconnecting"), told("event: response.in_progress", 4)])

scenario(
    "fault_cut_in_call", "a stream that is cut in the middle of a call: Codex is told, tries again, and the call runs once",
    turns=[turn(RUN, cut={"after": "response.function_call_arguments.delta", "nth": 1, "how": "eof"}), turn(RUN), turn(say("RAN ONCE"))],
    checks=[final("RAN ONCE"), file("ran.txt", "ran\n"), requests(3), told("event: response.failed")])

scenario(
    "fault_reset_after_call", "a stream that is reset after a call was done: the call ran, and does not run again",
    turns=[turn(RUN, cut={"after": "response.output_item.done", "nth": 1, "how": "reset"}), turn(say("KEPT"))],
    checks=[final("KEPT"), file("ran.txt", "ran\n"), requests(2), output(1, "ran"), told("event: response.failed")])

scenario(
    "fault_half_call_done", "a stream that ends after half a call was said to be done: the half is no call",
    turns=[turn(call("exec_command", '{"cmd": "echo half >> ran.txt; rm -r'), cut={"after": "response.output_item.done", "nth": 1, "how": "eof"}),
           turn(RUN), turn(say("RAN ONCE"))],
    checks=[final("RAN ONCE"), file("ran.txt", "ran\n"), requests(3), told("event: response.failed"),
            lambda run: "the half was answered" if items(run.requests()[1], *CALLS, *OUTPUTS) else None])

scenario(
    "fault_cut_for_good", "a stream that is cut each time: Codex gives up and says what happened",
    rc=1, turns=[turn(say("Here is what I found so far"), cut={"after": "response.output_text.delta", "nth": 1, "how": "eof"})] * 2,
    checks=[printed("the upstream's stream ended before the response was complete"), requests(2)])

scenario(
    "fault_500_then_fine", "a 500 is tried again",
    turns=[turn(status=500, body={"detail": "oops"}), turn(say("SECOND TIME LUCKY"))],
    checks=[final("SECOND TIME LUCKY"), requests(2), client_saw_status(500), told('"message":"oops"')])

scenario(
    "fault_500_for_good", "a 500 each time: Codex tries as often as it is allowed to, and gives up",
    rc=1, turns=[turn(status=500, body={"detail": "oops"})] * 4,
    checks=[printed("high demand"), requests(4), client_saw_status(500), told('"message":"oops"', 4)])

scenario(
    "fault_429_retry_after", "a 429 with Retry-After is waited for",
    turns=[turn(status=429, body={"error": "slow down"}, headers={"retry-after": "2"}), turn(say("WAITED"))],
    checks=[final("WAITED"), waited(1, 1.9), client_saw_status(429), told('"message":"slow down"')])

scenario(
    "fault_429", "a 429 without it is final",
    rc=1, turns=[turn(status=429, body={"error": "slow down"})],
    checks=[printed("429 Too Many Requests"), requests(1), client_saw_status(429), told('"message":"slow down"')])
