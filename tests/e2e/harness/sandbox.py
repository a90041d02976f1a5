"""The suite's own world: pytest moves itself into network and mount namespaces of its own.

Everything the suite makes (interfaces, tmpfs mounts) lives in them and is gone when pytest and the daemons are:
nothing needs cleaning up on the machine, however the suite ends. Daemons inherit the namespaces, so their API is
simply on 127.0.0.1.
"""
import ctypes
import os
import signal
import subprocess

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
MNT_DETACH = 2
PR_SET_CHILD_SUBREAPER = 36

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source, target, kind, flags=0, data=""):
    check(libc.mount(source.encode(), str(target).encode(), kind.encode(), flags, data.encode()), f"mount {target}")


def unmount(target):
    check(libc.umount2(str(target).encode(), MNT_DETACH), f"unmount {target}")


def enter():
    """Once, before anything else runs."""
    check(libc.unshare(CLONE_NEWNS | CLONE_NEWNET), "unshare")
    mount("none", "/", "none", MS_REC | MS_PRIVATE)
    mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    # Orphans of killed daemons become our children, not the machine's.
    check(libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "prctl")
    no_ipv6_noise()
    ip("link set lo up")


def no_ipv6_noise():
    """Neighbour discovery and router solicitations would be counted as packets."""
    for which in ("all", "default"):
        path = f"/proc/sys/net/ipv6/conf/{which}/disable_ipv6"
        if os.path.exists(path):
            with open(path, "w") as file:
                file.write("1")


def run(*words, **more):
    done = subprocess.run(words, capture_output=True, text=True, **more)
    assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}: {done.stderr}{done.stdout}"
    return done.stdout


def ip(*commands):
    """Runs ip commands, all in one process."""
    return run("ip", "-batch", "-", input="\n".join(commands) + "\n")


def here():
    return os.stat("/proc/self/ns/net").st_ino


def processes():
    """The daemons' processes in our namespace, zombies apart: {pid: command line}."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            line = daemon_line(int(entry))
            if line:
                found[int(entry)] = line
    return found


def daemon_line(pid):
    try:
        if os.stat(f"/proc/{pid}/ns/net").st_ino != here():
            return None
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            line = file.read().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None
    return line if "pktcap" in line.split(" ")[0] else None


def parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return int(file.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def kill(pid, number=signal.SIGKILL):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def status_of(pid):
    """/proc/PID/status as a dictionary."""
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
