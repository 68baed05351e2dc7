"""Is a history of one key linearizable? The search of Wing and Gong (1993) with the memory of Lowe (2017): every operation must
seem to happen at one moment between its beginning and its end; one whose answer never came may happen later, or not at all.

A key's state is None (no object) or (version, value); a version of None is not known, and fits to every version."""
import dataclasses
import math

NEVER = math.inf


@dataclasses.dataclass
class Operation:
    kind: str              # "create", "update", "delete", "read"
    begin: int             # nanoseconds, one clock
    end: float             # NEVER: no answer came
    value: object = None   # written, or read
    wanted: object = None  # version that is a precondition; None = none
    version: object = None # given by the answer
    result: str = "done"   # "done", "exists", "missing", "conflict", "unknown"
    client: object = None  # who, for messages


def same_version(one, other):
    return one is None or other is None or one == other


def step(state, operation):
    """The states in which the operation, with its answer, can leave the key; none: it cannot happen here."""
    kind, result = operation.kind, operation.result
    if kind == "read":
        if result == "missing":
            return [None] if state is None else []
        if state is None or state[1] != operation.value or not same_version(state[0], operation.version):
            return []
        return [(state[0] if operation.version is None else operation.version, state[1])]
    fits = state is not None and (operation.wanted is None or same_version(state[0], operation.wanted))
    if result == "exists":
        return [state] if state is not None else []
    if result == "missing":
        return [None] if state is None else []
    if result == "conflict":
        return [state] if state is not None and (operation.wanted is None or state[0] is None or state[0] != operation.wanted) else []
    if kind == "create":
        return [(operation.version, operation.value)] if state is None else []
    if not fits:
        return []
    return [None] if kind == "delete" else [(operation.version, operation.value)]


def check(operations, state=None):
    """None when there is an order that explains all answers; otherwise the longest explained part, as a message."""
    operations = sorted(operations, key=lambda operation: operation.begin)
    certain = sum(1 << i for i, operation in enumerate(operations) if operation.result != "unknown")
    seen = set()
    stack = [(0, state)]
    best = (0, state)
    while stack:
        done, state = stack.pop()
        if done & certain == certain:
            return None
        if (done, state) in seen:
            continue
        seen.add((done, state))
        if bin(done & certain).count("1") > bin(best[0] & certain).count("1"):
            best = (done, state)
        # What has not happened yet, and began before all of those have ended, may happen next.
        first_end = min(operation.end for i, operation in enumerate(operations) if not done >> i & 1)
        for i, operation in enumerate(operations):
            if operation.begin > first_end:
                break
            if not done >> i & 1:
                stack.extend((done | 1 << i, after) for after in step(state, operation))
    left = [operation for i, operation in enumerate(operations) if not best[0] >> i & 1]
    return f"from {best[1]} nothing explains any of {left[:6]} after {len(operations) - len(left)} of {len(operations)} operations"
