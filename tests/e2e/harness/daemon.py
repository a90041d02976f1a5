"""The real pktcapd as its users start it: own data directory, own port, its log watched."""
import itertools
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

from harness import sandbox
from harness.client import ADMIN, Client, MANAGER, POLICY
from harness.wait import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("PKTCAPD_BUILD", ROOT / "build" / "release")).resolve()
PORTS = itertools.count(20000)  # our namespace is ours alone: every port is free

# The leak sanitizer needs /proc, which a process confined to its data directory does not have: test_leaks.py looks
# for leaks in one that is not confined.
NO_LEAK_CHECK = {"ASAN_OPTIONS": "detect_leaks=0"}

LOG_LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (ERROR|WARNING|INFO|DEBUG) [a-z-]+\[\d+\]: .*$")
LISTENING = re.compile(r"listening on https?://(\S+):(\d+), node ([0-9a-f-]{36})")


class Program:
    """A process with a log file."""

    def __init__(self, words, log, environment=None):
        self.words, self.log = [str(word) for word in words], pathlib.Path(log)
        self.environment = {**os.environ, **(environment or {})}
        self.process = None
        self.log_start = 0

    def launch(self):
        self.log_start = len(self.text())
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.words, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=self.environment, start_new_session=True)
        return self

    def text(self):
        """The whole log, over all starts."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def text_since_launch(self):
        return self.text()[self.log_start :]

    def wait_for_log(self, pattern, timeout=10):
        def found():
            match = re.search(pattern, self.text_since_launch())
            if match is None and self.process.poll() is not None:
                match = re.search(pattern, self.text_since_launch())
                assert match, f"it ended with {self.process.returncode} and logged: {self.text_since_launch()}"
            return match

        return wait_until(found, timeout, f"{pattern!r} in the log")

    def wait_exit(self, timeout=20):
        wait_until(lambda: self.process.poll() is not None, timeout, "the end of " + self.words[0])
        return self.process.returncode

    def stop(self):
        """SIGTERM; the exit status must say that all went well."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.wait_exit() == 0, f"exit status {self.process.returncode}: {self.text_since_launch()}"


class Daemon(Program):
    def __init__(self, directory, *flags, data=None, wrapper=(), build=BUILD, environment=None, port=None):
        directory = pathlib.Path(directory)
        self.data = pathlib.Path(data) if data else directory / "data"
        self.port = next(PORTS) if port is None else port
        self.build = pathlib.Path(build)
        self.expected = []
        words = [*wrapper, self.build / "pktcapd", "--listen", f"127.0.0.1:{self.port}", "--data-dir", self.data, *flags]
        super().__init__(words, directory / "log",
                         {**NO_LEAK_CHECK, "PKTCAPD_ADMIN_PASSWORD": ADMIN[1], **(environment or {})})
        self.clients = []
        self.client = self.new_client()

    def start(self):
        """Returns when the API listens and the worker is ready."""
        self.launch()
        self.port = int(self.wait_for_log(LISTENING)[2])
        self.client = self.new_client()
        if not any("--worker=external" in word for word in self.words):
            self.wait_for_log(r"worker [0-9a-f-]{36} ready")
        return self

    def new_client(self, prefix=MANAGER):
        self.clients.append(Client(self.port, prefix))
        return self.clients[-1]

    def policy(self):
        return self.new_client(POLICY)

    def fresh_client(self):
        """For after a kill: the old connections are dead."""
        self.client = self.new_client()
        wait_until(self.answers, 10, "the API")
        return self.client

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False

    def expect_log(self, *patterns):
        """Warnings and errors that this test causes on purpose."""
        self.expected += patterns

    # ---- its processes ----

    def children(self):
        return {pid: line for pid, line in sandbox.processes().items()
                if sandbox.parent_of(pid) == self.process.pid}

    def pid(self, role):
        """Of "parent", "front end", "worker" or "broker"; None while there is none."""
        if role == "parent":
            return self.process.pid
        if role == "broker":
            return self.broker()
        for pid, line in self.children().items():
            if ("pktcap-worker" in line.split(" ")[0]) == (role == "worker"):
                return pid
        return None

    def broker(self):
        """The worker's child."""
        worker = self.pid("worker")
        for pid in sandbox.processes():
            if worker is not None and sandbox.parent_of(pid) == worker:
                return pid
        return None

    def pids(self):
        return [self.process.pid, *self.children()]

    def kill(self, *roles):
        """kill -9. With the parent gone its children end too: waits for that, so that a start may follow."""
        self.expect_log(r"was killed by signal 9")
        victims = [self.pid(role) for role in roles]
        family = self.pids()
        for pid in victims:
            assert pid is not None, f"no {roles}"
            sandbox.kill(pid)
        for pid in victims:
            wait_until(lambda: not alive(pid), what=f"the death of {pid}")
        if "parent" in roles:
            self.process.wait(10)
            wait_until(lambda: not any(alive(pid) for pid in family), 15, "the end of the family")

    # ---- its end ----

    def finish(self):
        """At the end of a test: stops it, if it runs, and checks what it leaves."""
        try:
            if self.process is not None and self.process.poll() is None:
                self.stop()
            wait_until(lambda: not self.alive_of_ours(), 5, f"the end of {self.alive_of_ours()}")
        finally:
            for pid in self.alive_of_ours():
                sandbox.kill(pid)
        check_log(self.text(), self.expected)

    def alive_of_ours(self):
        return [pid for pid, line in sandbox.processes().items() if f" {self.data} " in line and alive(pid)]


def alive(pid):
    """Whether any thread of it still runs: a killed process holds its locks until its last thread is gone."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return False
    return any(thread_alive(pid, thread) for thread in threads)


def thread_alive(pid, thread):
    try:
        return sandbox.status_of(f"{pid}/task/{thread}")["State"][0] not in "ZX"
    except (OSError, KeyError):
        return False


def check_log(text, expected):
    """No WARNING or ERROR but the expected ones, and no line that is not the log's (sanitizers, assertions)."""
    for line in text.splitlines():
        match = LOG_LINE.match(line)
        if match and match[1] in ("INFO", "DEBUG"):
            continue
        if not any(re.search(pattern, line) for pattern in expected):
            raise AssertionError(f"unexpected in the log: {line}\n--- the log:\n{text}")
