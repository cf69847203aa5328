"""The loads: what is asked, of whom, from how many connections."""
import json
import subprocess

import bodies
from programs import Failed, ask, say
from results import Measured

TEXT = {'deltas': 500, 'delta': 'abcdefgh'}
BODY_KB = (1, 10, 100, 1000, 5000)
STREAMS = (1, 8, 32, 128, 512)


class Case:
    """A row of a table: a program, and whether the client asks it to store."""

    def __init__(self, program, store):
        self.program, self.store = program, store
        self.label = program.name + (', store' if program.stores and store else '')


class Loads:
    def __init__(self, load, folder, upstream, programs, reps, scale):
        self.load, self.folder, self.upstream, self.programs = load, folder, upstream, programs
        self.reps, self.scale, self.measured = reps, scale, {}
        self.cases = [Case(program, store) for program in programs for store in ((True, False) if program.stores else (False,))]

    def run(self, measured, body, script, calls, requests, warm=3, fresh=False, reps=None, limit=6.0):
        """Repetition by repetition, each case in turn: a busy moment of the machine hits all alike.

        `body` makes the request, given whether it is the peer's; `calls` are those to be made. `fresh` starts a new
        process for each run."""
        requests = max(measured.connections, round(requests * self.scale))
        script = {**script, 'calls': [made for made, _ in calls]}
        for rep in range(reps or self.reps):
            for case in self.cases:
                if fresh:
                    case.program.start()
                    self.upstream.script(**{**script, 'pace_ms': None})
                    self.once(case, body, script, calls, 1, 2, 1, limit)
                self.upstream.script(**script)
                report = self.once(case, body, script, calls, measured.connections, requests, warm, limit)
                self.check_stored(case, report)
                report['upstream_connections'] = self.upstream.seen()['connections']
                measured.rows.setdefault(case.label, []).append(report)
                for wrong, times in report['wrong'].items():
                    say(f'  WRONG {measured.key}, {case.label}: {times} times: {wrong}')
            say(f'  {measured.key}: repetition {rep + 1}')
        self.measured[measured.key] = measured

    def once(self, case, body, script, calls, connections, requests, warm, limit):
        request = body(case.program.name == 'peer')
        if case.program.stores:
            request['store'] = case.store
        path = self.folder / 'body.json'
        path.write_text(json.dumps(request, ensure_ascii=False))
        expect = {'stream': request['stream'], 'model': bodies.MODEL, 'text_bytes': script['deltas'] * len(script['delta']),
                  'calls': [item for _, item in calls] if case.program.stores else None}
        job = {'port': case.program.port, 'body': str(path), 'connections': connections, 'requests': requests, 'warm': warm,
               'limit_s': limit, 'pid': case.program.pid, 'expect': expect}
        done = subprocess.run([self.load, json.dumps(job)], capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f'load of {case.label}: {done.stderr}')
        return json.loads(done.stdout)

    @staticmethod
    def check_stored(case, report):
        """What does not keep what it was asked to keep has no claim to its figures."""
        if case.program.stores and case.store and report['last_id']:
            status, _ = ask(case.program.port, 'GET', '/v1/responses/' + report['last_id'])
            if status != 200:
                report['wrong'][f'the last response is not stored: {status}'] = 1

    def start_all(self):
        for program in self.programs:
            program.start()

    def s1(self):
        self.start_all()
        for connections, requests in ((1, 4000), (32, 12000)):
            measured = Measured(f'S1 ×{connections}', 'Small JSON request with one function', connections)
            self.run(measured, lambda peer: bodies.small(), {'deltas': 0, 'delta': ''}, [bodies.plain_call()], requests)

    def s2(self):
        self.start_all()
        for connections, requests in ((1, 100), (32, 480)):
            measured = Measured(f'S2 ×{connections}', 'Stream of 500 text deltas and a namespaced call', connections, True)
            self.run(measured, lambda peer: bodies.streamed(bodies.FILES), TEXT, [bodies.namespaced_call()], requests)
        for connections, requests in ((1, 100), (32, 480)):
            measured = Measured(f'S2C ×{connections}', 'Stream of a custom call in 500 pieces', connections, True)
            call = bodies.custom_call('let x = "ö";\n' * 500, 500)
            self.run(measured, lambda peer: bodies.streamed(bodies.PATCHER), {'deltas': 0, 'delta': ''}, [call], requests)

    def s2p(self):
        """All streams are opened at once, each is asked once."""
        def paced(key, streams, deltas, pace_ms, reps):
            title = f'{streams:,} open streams, an event every {pace_ms} ms'
            script = {'deltas': deltas, 'delta': 'abcdefgh', 'pace_ms': pace_ms}
            self.run(Measured(key, title, streams, True), lambda peer: bodies.streamed(bodies.FILES), script,
                     [bodies.namespaced_call()], streams, warm=0, fresh=True, reps=reps, limit=120.0)
        paced('S2P ×256', 256, 200, 20, None)
        paced('S2P ×2000', 2000, 30, 250, 1)

    def s3(self):
        self.start_all()
        calls = [bodies.custom_call(), bodies.namespaced_call('mcp__ns0', 'tool_01')]
        for stream, connections, requests in ((False, 1, 60), (True, 1, 60), (True, 8, 160)):
            kind = 'SSE' if stream else 'JSON'
            measured = Measured(f'S3 {kind} ×{connections}', f'Codex request of 450 KB, {kind}', connections)
            self.run(measured, lambda peer, stream=stream: bodies.coding(stream, peer), {'deltas': 20, 'delta': 'abcdefgh'}, calls, requests)

    def curves(self):
        self.start_all()
        for kilobytes, requests in zip(BODY_KB, (2000, 1500, 600, 100, 30)):
            measured = Measured(f'body {kilobytes} KB', f'JSON request of {kilobytes:,} KB', 1)
            request = bodies.history_of(kilobytes)
            self.run(measured, lambda peer, request=request: request, {'deltas': 4, 'delta': 'abcdefgh'},
                     [bodies.namespaced_call()], requests)
        for streams in STREAMS:
            measured = Measured(f'streams {streams}', f'{streams} streams, as fast as they go', streams, True)
            self.run(measured, lambda peer: bodies.streamed(bodies.FILES), TEXT, [bodies.namespaced_call()],
                     max(160, 2 * streams), warm=1, limit=10.0)
