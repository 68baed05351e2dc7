"""The frame of a test program: runs its tests in a sandbox, or skips them and says why."""
import unittest

from . import net, sandbox

_reason = None


class LabTest(unittest.TestCase):
    """Tests that share one lab. Subclasses build it in `build`."""

    maxDiff = None

    @classmethod
    def setUpClass(cls):
        if _reason is not None:
            raise unittest.SkipTest(_reason)
        cls.lab = net.Lab()
        cls.addClassCleanup(cls.lab.close)
        cls.build()

    @classmethod
    def build(cls):
        """Make hosts and daemons."""


def main():
    """In the place of unittest.main()."""
    global _reason
    _reason = sandbox.reason_against()
    if _reason is not None:
        unittest.main()
    raise SystemExit(sandbox.run(unittest.main))
