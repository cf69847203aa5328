"""S5: what a program takes when it does nothing."""
import time

from programs import say
from results import Value


def s5(programs, reps):
    footprints = {}
    for program in programs:
        starts = [program.start() * 1e3 for _ in range(max(3, 2 * reps))]
        time.sleep(1)
        footprints[program.name] = {'binary_mb': program.executable().stat().st_size / 1e6, 'start_ms': starts,
                                    'idle_rss_mb': program.rss_kb() / 1e3}
        program.stop()
        say(f'  S5 {program.name}: {Value(starts).text()} ms')
    return footprints
