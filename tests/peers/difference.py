"""How two readings of the same objects differ: in ids and, field by field, in values."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

ABSENT = object()


@dataclass(frozen=True)
class Intended:
    """A difference that is meant to be there: its name, why, and how to recognise it.

    `holds` sees the stream, the path of the field (array indices as []) and both values, ABSENT
    where the field is missing. What it does not recognise counts as unexplained.
    """

    name: str
    why: str
    holds: Callable[[str, str, Any, Any], bool]


@dataclass
class Readings:
    """The records of one stream by id, and how many came more than once."""

    by_id: dict[str, dict[str, Any]] = field(default_factory=dict)
    repeated: int = 0

    @classmethod
    def of(cls, records: Iterable[dict[str, Any]], key: str = "id") -> "Readings":
        readings = cls()
        for record in records:
            readings.repeated += record[key] in readings.by_id
            readings.by_id[record[key]] = record
        return readings


@dataclass
class Difference:
    """What remains between our reading of a stream and the peer's."""

    only_ours: list[str]
    only_theirs: list[str]
    intended: Counter = field(default_factory=Counter)
    unexplained: Counter = field(default_factory=Counter)
    samples: dict[str, str] = field(default_factory=dict)

    def any(self) -> bool:
        return bool(self.only_ours or self.only_theirs or self.unexplained)


def compare(stream: str, ours: Readings, theirs: Readings, table: Iterable[Intended]) -> Difference:
    """Compares two readings of one stream.

    Intended differences are counted by name, unexplained ones by field, each field once a record.
    """
    table = list(table)
    result = Difference(
        only_ours=sorted(ours.by_id.keys() - theirs.by_id.keys()),
        only_theirs=sorted(theirs.by_id.keys() - ours.by_id.keys()),
    )
    for key in ours.by_id.keys() & theirs.by_id.keys():
        fields = set()
        for path, left, right in walk(ours.by_id[key], theirs.by_id[key]):
            name = next((entry.name for entry in table if entry.holds(stream, path, left, right)), None)
            if name:
                result.intended[name] += 1
            elif path not in fields:
                fields.add(path)
                result.unexplained[path] += 1
                result.samples.setdefault(path, f"{key}: ours {_show(left)}, theirs {_show(right)}")
    return result


def walk(left: Any, right: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Every place where two JSON values differ, array indices written as []."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in left.keys() | right.keys():
            inner = f"{path}.{key}" if path else key
            yield from walk(left.get(key, ABSENT), right.get(key, ABSENT), inner)
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for one, other in zip(left, right):
            yield from walk(one, other, f"{path}[]")
    # Python calls True equal to 1 and 1 equal to 1.0; in JSON a boolean is no number.
    elif left is not right and (left != right or isinstance(left, bool) != isinstance(right, bool)):
        yield path, left, right


def _show(value: Any) -> str:
    text = "absent" if value is ABSENT else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
