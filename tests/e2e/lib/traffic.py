"""Traffic between hosts while something else happens, and how much of it was lost."""
import re
import signal

SECONDS_BETWEEN = 0.1


class Traffic:
    """Use as a context manager; afterwards `lost` says how many packets had no answer, of `sent`."""

    def __init__(self, host, source, target):
        self.host = host
        self.argv = ["ping", "-q", "-i", str(SECONDS_BETWEEN), "-I", source, target]
        self.sent = self.lost = None

    def __enter__(self):
        self.process = self.host.start("ping", *self.argv)
        self.begin = len(self.process.log())
        return self

    def __exit__(self, *_):
        self.process.stop(signal.SIGINT)
        text = self.process.log()[self.begin:]
        sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", text).groups())
        # The last one may still be on its way.
        self.sent, self.lost = sent, max(0, sent - received - 1)
