"""Wait for a condition, never for a time."""
import os
import time

SECONDS = int(os.environ.get("WAIT_SECONDS", 90))  # what a busy machine may need; a condition that holds earlier is seen earlier


def until(condition, what, seconds=SECONDS, every=0.1):
    """Call `condition` until it returns something true, and return that.

    `what` says what is waited for, as text or as a function that is called in the end. A condition that raises
    AssertionError, KeyError or OSError is asked again, and its last complaint is reported."""
    end = time.monotonic() + seconds
    complaint = None
    while True:
        try:
            result = condition()
            if result:
                return result
            complaint = None
        except (AssertionError, KeyError, OSError) as error:
            complaint = error
        if time.monotonic() >= end:
            text = what() if callable(what) else what
            raise AssertionError(f"after {seconds} s still not: {text}" + (f" ({complaint!r})" if complaint else ""))
        time.sleep(every)


def stays(condition, what, seconds=3, every=0.1):
    """Fail as soon as `condition` is not true; it must hold for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not condition():
            raise AssertionError(f"did not stay so: {what() if callable(what) else what}")
        time.sleep(every)
