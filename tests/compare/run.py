#!/usr/bin/env python3
"""Compares the gateway with a bare proxy, with nginx and with its nearest peer, in one interleaved run.

    tests/compare/run.py

It needs Python 3.9 and cargo. nginx and `agentic-server` (pip install agentic-api) are measured if they
are there. The upstream is a program that answers in the shapes of vLLM 0.32; no model is involved, so
all that is measured is the gateway. Only ratios and differences within one run mean something.

A wrong answer is never fast: each is checked after its time is taken, and a row with one has no figures.
Tables (summary.md, tables.md), pictures (*.svg) and the raw figures (runs.json) are written to --out.
Exit code: 0; 1 if an answer was wrong; 2 if a program did not run."""
import argparse
import json
import platform
import resource
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import conversation
import footprint
import pictures
import programs
import tables
from scenarios import Loads

LOADS = ('S1', 'S2', 'S2P', 'S3', 'curves')
SCENARIOS = ('S1', 'S2', 'S2P', 'S3', 'S4', 'S5', 'curves')
README_BEGIN, README_END = '<!-- measured -->', '<!-- /measured -->'


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', default=','.join(SCENARIOS), help='scenarios, with commas: ' + ', '.join(SCENARIOS))
    parser.add_argument('--reps', type=int, default=5, help='repetitions (5)')
    parser.add_argument('--scale', type=float, default=1.0, help='part of the requests and turns; 0.02 for a quick look')
    parser.add_argument('--gateway', type=Path, help='the binary; without it a release build is made')
    parser.add_argument('--peer', default='', help="agentic-server; 'none' leaves it out; without it the one on the PATH, if any")
    parser.add_argument('--out', type=Path, default=programs.HERE / 'results', help='where tables and pictures are written')
    parser.add_argument('--readme', action='store_true', help="also put the short table into the README, between its marks")
    chosen = parser.parse_args()
    chosen.only = chosen.only.split(',')
    if unknown := set(chosen.only) - set(SCENARIOS):
        parser.error('no such scenario: ' + ', '.join(sorted(unknown)))
    return chosen


def machine():
    names = [line.split(':', 1)[1].strip() for line in Path('/proc/cpuinfo').read_text().splitlines() if line.startswith('model name')]
    return f"{len(names)} × {names[0] if names else platform.machine()}, {platform.system()} {platform.release().split('-')[0]}"


def open_files():
    """Each of 2,000 streams takes one file of the client, one of the upstream and two of the gateway."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def compare(chosen, folder):
    binaries, gateway = programs.build(), chosen.gateway or programs.build_gateway()
    upstream = programs.Upstream('upstream', [binaries / 'upstream', '{port}'], folder)
    started = [upstream]
    try:
        upstream.start()
        bare = programs.bare(binaries, folder, upstream)
        nginx = programs.Nginx(folder, upstream) if shutil.which('nginx') else None
        found = None if chosen.peer == 'none' else chosen.peer or shutil.which('agentic-server')
        peer = programs.peer(found, folder, upstream) if found else None
        ours = programs.ours(gateway.resolve(), folder, upstream)
        present = [program for program in (bare, nginx, peer, ours) if program]
        started += present
        versions = {'ours': programs.version(gateway, '--version'), 'peer': found and programs.version(found, '--version'),
                    'nginx': nginx and programs.version('nginx', '-v'), 'compiler': programs.version('rustc', '--version')}
        result = {'date': time.strftime('%Y-%m-%d'), 'machine': machine(), 'reps': chosen.reps, 'scale': chosen.scale,
                  'versions': versions, 'loads': {}, 'conversations': {}, 'footprints': {}, 'failures': []}
        measure(chosen, result, Loads(binaries / 'load', folder, upstream, present, chosen.reps, chosen.scale), bare, peer, ours)
        return result
    finally:
        for program in started:
            program.stop()


def measure(chosen, result, loads, bare, peer, ours):
    for scenario in chosen.only:
        programs.say(scenario)
        for program in loads.programs:
            program.stop()
        if scenario in LOADS:
            getattr(loads, scenario.lower())()
            result['loads'] = loads.measured
        elif scenario == 'S4':
            talking = [program for program in (bare, peer, ours) if program]
            result['conversations'], failures = conversation.s4(talking, loads.upstream, chosen.reps, chosen.scale)
            result['failures'] += failures
        else:
            result['footprints'] = footprint.s5(loads.programs, chosen.reps)
    for key, measured in loads.measured.items():
        for row, reports in measured.rows.items():
            wrong = {text: times for report in reports for text, times in report['wrong'].items()}
            result['failures'] += [f'{key}, {row}: {times} × {text}' for text, times in wrong.items()]


def write(chosen, result):
    chosen.out.mkdir(parents=True, exist_ok=True)
    short = tables.summary(result)
    (chosen.out / 'summary.md').write_text(short)
    (chosen.out / 'tables.md').write_text(tables.everything(result))
    for name, text in pictures.pictures(result['loads']).items():
        (chosen.out / name).write_text(text)
    raw = dict(result, loads=[measured.as_json() for measured in result['loads'].values()])
    (chosen.out / 'runs.json').write_text(json.dumps(raw, indent=1, ensure_ascii=False))
    if chosen.readme:
        path = programs.ROOT / 'README.md'
        before, _, rest = path.read_text().partition(README_BEGIN)
        _, _, after = rest.partition(README_END)
        path.write_text(f'{before}{README_BEGIN}\n{short}{README_END}{after}')
    print(short)


def main():
    chosen = options()
    open_files()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    try:
        with tempfile.TemporaryDirectory(prefix='tower-responses-compare-') as folder:
            result = compare(chosen, Path(folder))
    except programs.Failed as error:
        programs.say(f'error: {error}')
        return 2
    write(chosen, result)
    for text in result['failures']:
        programs.say(f'WRONG: {text}')
    return 1 if result['failures'] else 0


if __name__ == '__main__':
    sys.exit(main())
