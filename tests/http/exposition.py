"""A strict reader of Prometheus' text format 0.0.4: what it does not like, a scraper may not like either."""
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? ([^ ]+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


class Family:
    def __init__(self, name, help_text):
        self.name = name
        self.help = help_text
        self.type = None
        self.samples = {}  # (name, ((label, value), ...)) -> text of the value


def read_labels(text):
    labels = []
    at = 0
    while text is not None and at < len(text):
        match = LABEL.match(text, at)
        assert match, f"labels: {text!r} at {at}"
        value = re.sub(r"\\(.)", lambda found: "\n" if found.group(1) == "n" else found.group(1), match.group(2))
        labels.append((match.group(1), value))
        at = match.end()
        assert match.group(3) == "," or at == len(text), text
    names = [name for name, _ in labels]
    assert len(names) == len(set(names)), f"a label twice: {text}"
    return tuple(labels)


def check_histogram(family):
    """Buckets of one set of labels: bounds ascend to +Inf, counts never fall, and the last one is the count."""
    sets = {}
    for (name, labels), value in family.samples.items():
        rest = tuple(label for label in labels if label[0] != "le")
        entry = sets.setdefault(rest, {"buckets": []})
        if name.endswith("_bucket"):
            assert labels[-1][0] == "le", labels
            entry["buckets"].append((labels[-1][1], int(value)))
        else:
            entry[name[len(family.name):]] = value
    for labels, entry in sets.items():
        bounds = [float(bound) for bound, _ in entry["buckets"]]
        counts = [count for _, count in entry["buckets"]]
        assert bounds == sorted(set(bounds)) and entry["buckets"][-1][0] == "+Inf", (family.name, labels, bounds)
        assert counts == sorted(counts), (family.name, labels, counts)
        assert counts[-1] == int(entry["_count"]), (family.name, labels, entry)
        assert (float(entry["_sum"]) > 0) <= (counts[-1] > 0), (family.name, labels, entry)


def check_family(family):
    assert family.type is not None, f"{family.name} has no TYPE"
    assert family.samples, f"{family.name} has no samples"
    assert (family.type == "counter") == family.name.endswith("_total"), family.name
    if family.type == "histogram":
        check_histogram(family)


def parse(text):
    """{name: Family}, in order."""
    families = {}
    current = None
    assert text.endswith("\n"), "does not end with a line feed"
    for line in text[:-1].split("\n"):
        comment = re.fullmatch(rf"# (HELP|TYPE) ({NAME}) (.+)", line)
        if comment and comment.group(1) == "HELP":
            if current is not None:
                check_family(current)
            current = Family(comment.group(2), comment.group(3))
            assert current.name not in families, f"{current.name} comes twice"
            families[current.name] = current
        elif comment:
            assert current is not None and current.name == comment.group(2) and current.type is None and not current.samples, line
            current.type = comment.group(3)
            assert current.type in SUFFIXES, line
        else:
            sample = SAMPLE.fullmatch(line)
            assert sample and current is not None and current.type is not None, line
            name, labels, value = sample.group(1), read_labels(sample.group(2)), sample.group(3)
            assert name in [current.name + suffix for suffix in SUFFIXES[current.type]], f"{line} below {current.name}"
            assert NUMBER.fullmatch(value), line
            assert (name, labels) not in current.samples, f"twice: {line}"
            current.samples[(name, labels)] = value
    check_family(current)
    return families
