"""From the POST's answer to a running capture.

A generator sends a frame every 0.2 ms all the while. A capture runs when it captures: its start is the kernel's
timestamp of the first frame in its file, so at most 0.2 ms late. What ran before the answer was read counts as 0.
"""
import random
import time

import pcapfile
from host import BenchError, Result, daemon, program, say, table

GOAL_P50_MS, GOAL_P99_MS = 20, 60
FRAMES_A_SECOND = 5000


def one(service):
    """Milliseconds until the first frame, and until runtime.started."""
    session, answered_ns = service.post()
    session = session["sessionid"]
    service.wait_started(session)
    time.sleep(0.03)
    ended = service.act(session, "terminate")
    frames = pcapfile.frames(ended["filelocation"])
    if not frames:
        raise BenchError(f"session {session} captured nothing of the traffic")
    if frames[-1][1] - frames[0][1] + 1 != len(frames):
        raise BenchError(f"session {session} has gaps after its first frame")
    service.act(session, "delete")
    first_ms = (frames[0][0] - answered_ns) / 1e6
    started_ms = ended["runtime"]["started"] - answered_ns / 1e6
    return max(first_ms, 0), max(started_ms, 0)


def sample(service, count):
    taken = []
    for _ in range(count):
        time.sleep(random.uniform(0.005, 0.025))  # in no step with the worker's timers
        taken.append(one(service))
    return taken


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def row(name, values):
    return [name, *(f"{percentile(values, share):.1f}" for share in (0.5, 0.9, 0.99)), f"{max(values):.1f}"]


def measure(place, options):
    say(f"pickup: {options.sessions} sessions")
    place.clear()
    traffic = place.generator("-r", FRAMES_A_SECOND, "-n", FRAMES_A_SECOND * 500)
    with daemon() as service, program(traffic, "generator.log") as sender:
        sample(service, 3)
        taken = sample(service, options.sessions)
        if sender.poll() is not None:
            raise BenchError("the generator ended early")
    first, started = zip(*taken)
    text = f"pickup: ms from the POST's answer to a running capture, {len(taken)} sessions one after another\n"
    text += table([["", "p50", "p90", "p99", "max"], row("first packet in the file", first),
                   row("runtime.started", started)])
    p50, p99 = percentile(first, 0.5), percentile(first, 0.99)
    return Result(text, [(p50 <= GOAL_P50_MS, f"pickup p50 {p50:.1f} ms, at most {GOAL_P50_MS}"),
                         (p99 <= GOAL_P99_MS, f"pickup p99 {p99:.1f} ms, at most {GOAL_P99_MS}")])
