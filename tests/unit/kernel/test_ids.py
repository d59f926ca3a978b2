"""UUIDv7: version and variant bits, strictly increasing within a process, also across threads."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from clew.kernel.canonical import canonical_json
from clew.kernel.ids import id_of, uuid7


def test_ids_are_version_7_and_increase() -> None:
    ids = [uuid7() for _ in range(5000)]
    assert all(each.version == 7 and each.variant == "specified in RFC 4122" for each in ids)
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_threads_never_share_an_id() -> None:
    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(lambda _: [uuid7() for _ in range(500)], range(8)))
    ids = [each for batch in batches for each in batch]
    assert len(set(ids)) == len(ids)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_process_makes_other_ids() -> None:
    uuid7()
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.write(write, b"".join(uuid7().bytes[8:] for _ in range(50)))
        os._exit(0)
    mine = {uuid7().bytes[8:] for _ in range(50)}
    os.waitpid(child, 0)
    told = os.read(read, 400)
    assert len(told) == 400
    assert mine.isdisjoint(told[at : at + 8] for at in range(0, 400, 8))


def test_an_id_is_one_however_it_was_made() -> None:
    """Ids come from the driver, from text, and from `uuid`: they are equal, hash alike and look alike everywhere."""
    made = uuid7()
    for text in (str(made), str(made).upper(), made.hex, made.urn, f"{{{made}}}"):
        read, plain = id_of(text), UUID(text)
        assert isinstance(read, UUID)
        assert read == plain == made
        assert plain == read
        assert len({read, plain, made}) == 1
        assert str(read) == str(plain)
        assert canonical_json({"id": read, "ids": [read]}) == canonical_json({"id": plain, "ids": [plain]})
    assert made.version == 7


@pytest.mark.parametrize("text", ["", "x", "0" * 33, "8e3397b5-9d97-49fd-9254-6e069d903e7g", "字" * 36, "8" * 37])
def test_what_is_no_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"UUID|length|hexadecimal"):
        id_of(text)
