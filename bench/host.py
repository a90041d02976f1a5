"""What every part uses: the place (namespaces, programs, directories), the generator and the daemon."""
import base64
import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import time

BUILD = pathlib.Path(__file__).resolve().parent.parent / "build" / "bench"
DATA = BUILD / "data"  # one disk for every capturer
ADDRESS = ("127.0.0.1", 8080)
INTERFACE, SENDER_INTERFACE = "bench-rx", "bench-tx"
GENERATOR_CPU = 0


class BenchError(Exception):
    """Something failed: not a missed goal."""


@dataclasses.dataclass
class Result:
    text: str
    goals: list  # of (met, words)


def say(words):
    print(f"   {words}", file=sys.stderr, flush=True)


def median(values):
    return statistics.median(list(values))


def wait_for(what, condition, seconds=10, pause=0.02):
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise BenchError(f"waited {seconds} s in vain for {what}")
        time.sleep(pause)


def table(rows):
    """Rows of texts; the first row is the header, the first column is aligned left."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  " + "  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                                      for i, (cell, width) in enumerate(zip(row, widths))) for row in rows)


def capture_cpus():
    """Where capturers run: everywhere but on the generator's CPU, on a machine that has another."""
    return os.sched_getaffinity(0) - {GENERATOR_CPU} or {GENERATOR_CPU}


# The administrator of the benchmark's own service, and how clients say so.
PASSWORD = "a password for the benchmark"
HEADERS = {"Authorization": "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()}


@contextlib.contextmanager
def program(words, log, cpus=None, stop=signal.SIGTERM):
    """Runs a program with its output in build/bench/NAME.log, and ends it."""
    with open(BUILD / log, "ab") as output:
        pin = (lambda: os.sched_setaffinity(0, cpus)) if cpus else None
        process = subprocess.Popen([str(word) for word in words], stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=output, preexec_fn=pin,
                                   env={**os.environ, "PKTCAPD_ADMIN_PASSWORD": PASSWORD})
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(stop)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Place:
    def __init__(self, sender):
        self.sender = sender  # the network namespace of the generator

    def check(self):
        """Refuses a full disk, and clears away what an earlier run left."""
        if shutil.disk_usage(BUILD).free < 4e9:
            raise BenchError(f"less than 4 GB are free in {BUILD}")
        for log in BUILD.glob("*.log"):
            log.unlink()
        self.clear()

    def clear(self):
        """An empty data directory, and no earlier run's writing still under way."""
        shutil.rmtree(DATA, ignore_errors=True)
        DATA.mkdir(parents=True)
        os.sync()

    def generator(self, *words):
        return ["ip", "netns", "exec", self.sender, BUILD / "bench-generator", *map(str, words), SENDER_INTERFACE]

    def send(self, *words):
        """Sends, and returns the frames sent and the seconds that took."""
        command = [str(word) for word in self.generator("-c", GENERATOR_CPU, *words)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise BenchError(f"the generator failed: {done.stderr.strip()}")
        sent, seconds = done.stdout.split()
        return int(sent), float(seconds)


class Daemon:
    """pktcapd on an empty data directory, and a client that keeps one connection to it."""

    def __init__(self, process):
        self.process = process
        self.client = http.client.HTTPConnection(*ADDRESS, timeout=30)
        self.base = "/api/v1/pktcap/session"

    def worker(self):
        """The worker's process id, once it is the worker."""
        path = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        if self.process.poll() is not None:
            raise BenchError(f"pktcapd ended at start; see {BUILD}/pktcapd.log")
        for pid in path.read_text().split():
            if pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == "pktcap-worker":
                return int(pid)
        return None

    def listens(self):
        with contextlib.suppress(OSError):
            self.client.connect()
            return list((DATA / "daemon" / "workers").glob("*.sock"))

    def call(self, method, path, body=None):
        """Returns the answer's object and the time (CLOCK_REALTIME, ns) at which it was read."""
        data = None if body is None else json.dumps(body).encode()
        self.client.request(method, path, data, HEADERS | ({"Content-Type": "application/json"} if data else {}))
        response = self.client.getresponse()
        text = response.read()
        answered_ns = time.time_ns()
        if response.status != 200:
            raise BenchError(f"{method} {path}: {response.status} {text.decode()}")
        return json.loads(text), answered_ns

    def post(self, **fields):
        return self.call("POST", self.base, {"cappoint": "VNIC", "capvalue": INTERFACE, "capsource": "CLI", **fields})

    def get(self, session):
        return self.call("GET", f"{self.base}/{session}")[0]

    def act(self, session, action):
        return self.call("POST", f"{self.base}/{session}?action={action}")[0]

    def wait_started(self, session):
        def started():
            status = self.get(session)["sessionstatus"]
            if status not in ("CREATED", "STARTED"):
                raise BenchError(f"session {session} is {status}: {self.get(session).get('errormsg')}")
            return status == "STARTED"
        wait_for("a session to start", started, pause=0.01)


@contextlib.contextmanager
def daemon(cpus=None):
    words = [BUILD / "pktcapd", "--listen", "%s:%d" % ADDRESS, "--data-dir", DATA / "daemon"]
    with program(words, "pktcapd.log", cpus) as process:
        running = Daemon(process)
        wait_for("the worker", running.worker)
        wait_for("pktcapd to listen", running.listens)
        yield running
        running.client.close()
    if process.returncode != 0:
        raise BenchError(f"pktcapd ended with status {process.returncode}; see {BUILD}/pktcapd.log")
