"""Run a program in namespaces of its own: processes, mounts and network, all gone when it ends, however it ends.

Three processes: the one that was started only waits and passes signals on; the first one inside collects whatever
dies there, and the kernel ends all others with it; the third is the program. What the program makes (network
namespaces, links, files below /run) belongs to these namespaces, so nothing can be left behind, and the names of
two runs at the same time do not meet.
"""
import ctypes
import os
import shutil
import signal
import subprocess
import sys

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)

# Below here is all that a run writes. It is memory, and only this run sees it.
FOLDER = "/run/lab"

PROGRAMS = ("ip", "nsenter", "unshare", "mount", "ping")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def reason_against():
    """Why this machine cannot run programs in a sandbox; None when it can."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if missing:
        return f"{', '.join(missing)} missing: make deps-e2e"
    if os.geteuid() != 0:
        return "network namespaces need root"
    probe = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "sh", "-c",
                            "mount -t tmpfs none /run && ip link add name one type veth peer name two"],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if probe.returncode != 0:
        return f"namespaces are forbidden here: {probe.stdout.strip()}"
    return None


def run(program, announce=None):
    """Call `program` in a sandbox; its result, or the status that it exited with, is returned outside.

    `announce` gets, outside, the number of the sandbox's first process: whoever enters its namespaces is inside."""
    sys.stdout.flush()
    sys.stderr.flush()
    if LIBC.unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"unshare: {os.strerror(error)}")
    first = os.fork()
    if first == 0:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        worker = os.fork()
        if worker == 0:
            _finish(program)
        _collect(worker)
    if announce is not None:
        announce(first)
    # Ctrl-C reaches all three by itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(first, number))
    _, status = os.waitpid(first, 0)
    return os.waitstatus_to_exitcode(status)


def _collect(worker):
    """The first process: wait for everything that dies, until the worker does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(worker, number))
    while True:
        child, status = os.waitpid(-1, 0)
        if child == worker:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)


def _finish(program):
    """The worker: what `program` returns or exits with becomes the status."""
    status = 1
    try:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
        os.environ["PATH"] = PATH
        for arguments in (["mount", "--make-rprivate", "/"], ["mount", "-t", "proc", "proc", "/proc"],
                          ["mount", "-t", "tmpfs", "-o", "mode=755", "run", "/run"], ["ip", "link", "set", "lo", "up"]):
            subprocess.run(arguments, check=True)
        os.mkdir(FOLDER)
        status = program() or 0
    except SystemExit as exiting:
        status = exiting.code if isinstance(exiting.code, int) else int(exiting.code is not None)
    except KeyboardInterrupt:
        status = 130
    except BaseException:  # a traceback, then the end: nothing may return into the copy of the caller
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
