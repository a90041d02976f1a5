"""Waiting for conditions, with one factor for slow builds (sanitizers)."""
import os
import time

SLOW = float(os.environ.get("PKTCAPD_SLOW", "1"))


def wait_until(condition, timeout=5.0, what="the condition", pause=0.01):
    """Polls until condition() is true and returns its value; fails after timeout seconds (times SLOW)."""
    give_up = time.monotonic() + timeout * SLOW
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > give_up:
            raise AssertionError(f"waited {timeout * SLOW:g} s in vain for {what}")
        time.sleep(pause)


def now_ms():
    return time.time_ns() // 1_000_000


def middle(values):
    """Of an odd number: one hiccup of the machine is not the service's."""
    return sorted(values)[len(values) // 2]


def often_enough_within(limit, measure, attempts=3):
    """measure() gives an odd number of values, the middle one of which must be within the limit (times SLOW). Measured
    again if it is not: a machine that is busy with something else is slow for a while, a wrong service always."""
    seen = []
    for _ in range(attempts):
        seen.append(measure())
        if middle(seen[-1]) <= limit * SLOW:
            return
    raise AssertionError(f"not within {limit * SLOW:g}: {seen}")
