"""One capture under load: loss, and CPU time of the capturing process while the traffic lasts.

Every capturer writes to the same disk, on the same CPUs (not the generator's), one at a time, in an order that
turns from run to run. CPU time is the scheduler's, of all threads, from before the first frame until the process
has come to rest again: opening and closing are no part of it.
"""
import collections
import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

from host import (DATA, INTERFACE, BenchError, Result, capture_cpus, daemon, median, program, say, table, wait_for)

GOAL_CPU = 0.5
PACED_RATE = 100_000

FILE = DATA / "peer.pcap"
PEERS = {
    "tcpdump -w": ["tcpdump", "-n", "-i", INTERFACE, "-Z", "root", "-w", FILE],
    "tcpdump -w -B 65536": ["tcpdump", "-n", "-B", "65536", "-i", INTERFACE, "-Z", "root", "-w", FILE],
    "dumpcap -P": ["dumpcap", "-q", "-P", "-i", INTERFACE, "-w", FILE],
    "netsniff-ng": ["netsniff-ng", "--silent", "--ring-size", "64MiB", "--in", INTERFACE, "--out", FILE],
}


@dataclasses.dataclass
class Taken:
    sent: int
    seconds: float
    cpu_s: float
    captured: int = 0

    def loss(self):
        return 100 * (1 - self.captured / self.sent)

    def cpu_a_million(self):
        return self.cpu_s * 1e6 / max(self.captured, 1)


def cpu_ns(pid):
    """On-CPU time of all threads: the scheduler's own account, in nanoseconds."""
    total = 0
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(FileNotFoundError):
            total += int(path.read_text().split()[0])
    return total


def settle(pid):
    """Waits until the process has dealt with what it got."""
    last, end = cpu_ns(pid), time.monotonic() + 20
    while time.monotonic() < end:
        time.sleep(0.4)
        now = cpu_ns(pid)
        if now - last < 2_000_000:
            return
        last = now
    raise BenchError(f"process {pid} does not come to rest")


def delivered():
    return int(pathlib.Path(f"/sys/class/net/{INTERFACE}/statistics/rx_packets").read_text())


def drive(place, pid, load):
    settle(pid)
    before, arrived = cpu_ns(pid), delivered()
    sent, seconds = place.send(*load)
    settle(pid)
    if delivered() - arrived != sent:
        say(f"only {delivered() - arrived} of {sent} frames came through the veth pair")
    return Taken(sent, seconds, (cpu_ns(pid) - before) / 1e9)


def count(path):
    out = subprocess.run(["capinfos", "-M", "-c", "-T", "-r", path], capture_output=True, text=True)
    if out.returncode != 0:
        raise BenchError(f"capinfos: {out.stderr.strip()}")
    return int(out.stdout.split()[-1])


def take_pktcapd(place, load):
    with daemon(capture_cpus()) as service:
        session = service.post()[0]["sessionid"]
        service.wait_started(session)
        service.client.close()  # idle for longer than the server keeps it
        taken = drive(place, service.worker(), load)
        ended = service.act(session, "terminate")
        taken.captured = count(ended["filelocation"])
    told = ended["runtime"]["packets_captured"], ended["runtime"]["packets_dropped"]
    if told[0] != taken.captured:
        raise BenchError(f"the session says {told[0]} packets, capinfos says {taken.captured}")
    if sum(told) != taken.sent:
        say(f"pktcapd: {told[0]} captured and {told[1]} dropped of {taken.sent}")
    return taken


def sockets():
    return len(pathlib.Path("/proc/self/net/packet").read_text().splitlines()) - 1


def take_peer(place, load, words):
    with program(words, "peers.log", capture_cpus(), signal.SIGINT) as process:
        wait_for(words[0], lambda: sockets() > 0 or process.poll() is not None)
        time.sleep(0.5)
        if process.poll() is not None:
            raise BenchError(f"{words[0]} ended at start; see peers.log")
        taken = drive(place, process.pid, load)
    taken.captured = count(FILE)
    return taken


def capturers():
    found = {"pktcapd": take_pktcapd}
    for name, words in PEERS.items():
        if shutil.which(words[0]):
            found[name] = lambda place, load, words=words: take_peer(place, load, words)
    return found


def take_all(place, load, runs, title):
    taken = collections.defaultdict(list)
    order = list(capturers().items())
    for run in range(runs):
        for name, take in order:
            place.clear()
            one = take(place, load)
            say(f"{title}, run {run + 1}: {name}: loss {one.loss():.3f} %, CPU {one.cpu_a_million():.3f} s/M")
            if one.captured > one.sent:
                raise BenchError(f"{name} captured {one.captured} of {one.sent} frames: there is other traffic")
            taken[name].append(one)
        order = order[1:] + order[:1]
    place.clear()
    return taken


def summarise(taken):
    """name -> (frames sent a second, loss in percent, CPU seconds a million packets), medians."""
    return {name: (median(one.sent / one.seconds for one in all_runs), median(one.loss() for one in all_runs),
                   median(one.cpu_a_million() for one in all_runs)) for name, all_runs in taken.items()}


def text_of(title, figures):
    base = figures["tcpdump -w"][2]
    rows = [["", "sent/s", "loss %", "CPU s/M packets", "ratio to tcpdump -w"]]
    for name in [*capturers()]:
        rate, loss, cpu = figures[name]
        rows.append([name, f"{rate:,.0f}", f"{loss:.3f}", f"{cpu:.4f}", f"{cpu / base:.2f}"])
    return title + "\n" + table(rows)


def goals(figures):
    loss, cpu = figures["pktcapd"][1:]
    best_loss = min(value[1] for name, value in figures.items() if re.match("tcpdump|dumpcap", name))
    best_cpu = min(value[2] for name, value in figures.items() if name.startswith("tcpdump"))
    return [(loss <= best_loss, f"capture loss {loss:.3f} %, at most {best_loss:.3f} (the best of tcpdump and dumpcap)"),
            (cpu <= GOAL_CPU * best_cpu, f"capture CPU {cpu / best_cpu:.2f} of tcpdump's (the cheaper of the two), at "
                                         f"most {GOAL_CPU}")]


def measure(place, options):
    small = take_all(place, ["-n", options.frames], options.runs, "64 B flat out")
    large = take_all(place, ["-n", PACED_RATE * options.seconds, "-s", 1500, "-r", PACED_RATE], options.runs,
                     "1500 B paced")
    figures = summarise(small)
    text = text_of(f"capture: {options.frames:,} frames of 64 bytes flat out, medians of {options.runs} runs, capturers "
                   f"on CPU {','.join(map(str, sorted(capture_cpus())))}", figures)
    text += "\n\n" + text_of(f"capture: frames of 1500 bytes at {PACED_RATE:,}/s for {options.seconds} s, medians of "
                             f"{options.runs} runs", summarise(large))
    return Result(text, goals(figures))
