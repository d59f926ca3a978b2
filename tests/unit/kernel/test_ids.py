"""UUIDv7: version and variant bits, strictly increasing within a process, also across threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from clew.kernel.ids import uuid7


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
