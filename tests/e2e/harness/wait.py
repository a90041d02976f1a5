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
