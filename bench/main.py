"""Runs the parts of the benchmark and prints their table. Started by bench/run inside the receiving namespace."""
import argparse
import os
import signal
import sys
import time

import answers
import flatout
import pickup
from host import BenchError, Place

PARTS = {"pickup": pickup.measure, "capture": flatout.measure, "http": answers.measure}


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run")
    parser.add_argument("sender", help=argparse.SUPPRESS)  # the namespace at the other end, from bench/run
    parser.add_argument("part", nargs="?", default="all", choices=[*PARTS, "all"])
    parser.add_argument("--runs", type=int, default=3, help="of each capturer and server; medians are shown")
    parser.add_argument("--sessions", type=int, default=200, help="posted by pickup")
    parser.add_argument("--frames", type=int, default=4_000_000, help="of 64 bytes in each run of capture")
    parser.add_argument("--seconds", type=int, default=5, help="of paced traffic and of each wrk")
    return parser.parse_args()


def others_share():
    """How busy the machine is while the benchmark does nothing: the share of CPU time, stolen time included."""
    def times():
        with open("/proc/stat", encoding="ascii") as file:
            fields = [int(word) for word in file.readline().split()[1:9]]
        return sum(fields), fields[3] + fields[4]
    (all_before, idle_before), _, (all_after, idle_after) = times(), time.sleep(2), times()
    return 1 - (idle_after - idle_before) / (all_after - all_before)


def machine(busy):
    warning = " - BUSY: trust no absolute figure, and ratios little" if max(busy) > 0.1 else ""
    return (f"{os.cpu_count()} CPUs, Linux {os.uname().release}, busy with other things {busy[0]:.0%} before and "
            f"{busy[1]:.0%} after{warning}")


def show(about, results):
    print(f"\n== pktcapd benchmark: {about}")
    for result in results:
        print("\n" + result.text)
    print("\nGoals")
    for result in results:
        for met, words in result.goals:
            print(f"  {'met   ' if met else 'MISSED'}  {words}")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = arguments()
    place = Place(options.sender)
    place.check()
    before = others_share()
    parts = PARTS if options.part == "all" else {options.part: PARTS[options.part]}
    try:
        results = [part(place, options) for part in parts.values()]
    except BenchError as error:
        sys.exit(f"bench: {error}")
    show(machine((before, others_share())), results)


if __name__ == "__main__":
    main()
