"""pktcapd's command line for people."""
import os
import pty
import subprocess
import time

from harness.daemon import BUILD, NO_LEAK_CHECK
from harness.wait import SLOW


class Outcome:
    def __init__(self, code, out, err=""):
        self.code, self.out, self.err = code, out, err

    def rows(self):
        return [line.split("\t") for line in self.out.splitlines()]


class Console:
    """Verbs on the data directory of some service."""

    def __init__(self, data, environment=None):
        self.data = data
        self.environment = {**os.environ, **NO_LEAK_CHECK, "SUDO_USER": "", **(environment or {})}

    def words(self, words):
        return [str(BUILD / "pktcapd"), *map(str, words), *(["--data-dir", str(self.data)] if self.data else [])]

    def run(self, *words, typed="", user=None):
        """Whatever comes of it."""
        done = subprocess.run(self.words(words), input=typed, capture_output=True, text=True, env=self.environment,
                              timeout=30 * SLOW, user=user, group=user and "nogroup", extra_groups=user and [])
        return Outcome(done.returncode, done.stdout, done.stderr)

    def do(self, *words, **more):
        """What must go well."""
        outcome = self.run(*words, **more)
        assert outcome.code == 0, outcome.err
        return outcome

    def refuse(self, *words, code=1, **more):
        """What must not: its message."""
        outcome = self.run(*words, **more)
        assert outcome.code == code, (outcome.code, outcome.out, outcome.err)
        assert outcome.out == "" and outcome.err.startswith("pktcapd: ")
        return outcome.err

    def terminal(self, *words):
        return Terminal(self.words(words), self.environment)

    def add_user(self, name, role="operator", password="a password of theirs", **more):
        return self.do("user", "add", name, "--role", role, typed=f"{password}\n{password}\n", **more)


class Terminal:
    """A program on a terminal; what it shows is in shown."""

    def __init__(self, words, environment):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(words[0], words, environment)
        self.shown = ""

    def wait_for(self, text):
        end = time.monotonic() + 10 * SLOW
        while text not in self.shown:
            assert time.monotonic() < end, self.shown
            if not self.read():
                break
        assert text in self.shown, self.shown

    def read(self):
        try:
            more = os.read(self.fd, 4096)
        except OSError:  # the other end is closed
            return False
        self.shown += more.decode()
        return bool(more)

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        """The exit status, negative for a signal."""
        while self.read():
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
