"""S4: one long conversation, each turn continuing the last by `previous_response_id`."""
import http.client
import json
import socket
import statistics
import time

import bodies
from programs import Failed, say

SIZE = 2048  # of what is asked and of what is answered in each turn
MARKS = (1, 10, 50, 100, 200, 500, 1000)


class Conversation:
    def __init__(self, program, upstream, stream=False, tools=False):
        self.program, self.upstream, self.stream = program, upstream, stream
        self.extra = bodies.turn_tools(program.name == 'peer') if tools else {}
        self.history, self.previous, self.said = [], None, len(json.dumps(self.extra)) if tools else 0

    def run(self, turns):
        """Milliseconds of the turns, state that is left, bytes that were said."""
        self.program.start()
        self.upstream.script(deltas=SIZE // 8, delta='abcdefgh', calls=[])
        self.connection = http.client.HTTPConnection('127.0.0.1', self.program.port, timeout=60)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        prose = bodies.Prose(5)
        times = [self.turn(bodies.message('user', prose(SIZE))) for _ in range(turns)]
        self.connection.close()
        items = self.upstream.seen()['items']
        if items != 2 * turns - 1:
            raise Failed(f'{self.program.name}: at turn {turns} the upstream saw {items} items')
        self.program.stop()
        state = self.program.state_bytes() if self.program.stores else None
        return {'at_ms': {mark: around(times, mark) for mark in (*MARKS, turns) if mark <= turns}, 'state': state, 'said': self.said}

    def turn(self, item):
        body = bodies.request([item], stream=self.stream, **self.extra) if self.extra else bodies.request([item], (), self.stream)
        if not self.program.stores:  # the client sends all of it again
            self.history.append(item)
            body['input'] = self.history
        elif self.previous:
            body['previous_response_id'] = self.previous
        text = json.dumps(body)
        began = time.perf_counter()
        self.connection.request('POST', '/v1/responses', text, {'content-type': 'application/json', 'authorization': 'Bearer compare'})
        answer = self.connection.getresponse()
        raw = answer.read()
        took = (time.perf_counter() - began) * 1e3
        response = self.response(answer.status, raw)
        said = ''.join(part['text'] for item in response['output'] for part in item['content'])
        if len(said) != SIZE:
            raise Failed(f'{self.program.name}: {len(said)} bytes of text in place of {SIZE}')
        self.previous = response['id']
        self.said += SIZE + len(said)
        if not self.program.stores:
            self.history.append(bodies.message('assistant', said))
        return took

    def response(self, status, raw):
        if status != 200:
            raise Failed(f'{self.program.name}: {status}: {raw[:300]}')
        if not self.stream:
            return json.loads(raw)
        events = [line[5:] for line in raw.decode().splitlines() if line.startswith('data:') and line[5:].strip() != '[DONE]']
        last = json.loads(events[-1])
        if last['type'] != 'response.completed':
            raise Failed(f"{self.program.name}: a stream ends with {last['type']}")
        return last['response']


def around(times, mark):
    """A turn and its neighbours: one alone says little."""
    return statistics.median(times[max(0, mark - 3):mark + 2]) if mark > 1 else times[0]


KINDS = (('JSON', 200, {}), ('SSE', 200, {'stream': True}), ('60 KB of tools', 200, {'tools': True}), ('JSON, long', 1000, {}))


def s4(programs, upstream, reps, scale):
    """For each kind and program the runs, and what went wrong."""
    kinds, failures = {}, []
    for kind, turns, options in KINDS:
        turns = max(10, round(turns * min(1, scale)))
        rows = {}
        for rep in range(reps):
            for program in programs:
                try:
                    rows.setdefault(program.name, []).append(Conversation(program, upstream, **options).run(turns))
                except (Failed, OSError, http.client.HTTPException) as error:
                    failures.append(f'S4 {kind}, {program.name}: {error}')
            say(f'  S4 {kind}, {turns} turns: repetition {rep + 1}')
        kinds[kind] = {'turns': turns, 'rows': rows}
    return kinds, failures
