"""The Merkle tree of RFC 9162 (and 6962): hashing, inclusion and consistency proofs. Pure; SHA-256 throughout.

A tree is read through `Node`: the hash of the perfect subtree `(level, number)`, which covers the entries from
`number * 2**level` on, `2**level` of them. Every other hash is made of those, so a log that keeps them gives any proof
from O(log n) reads.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

Node = Callable[[int, int], bytes]
EMPTY = hashlib.sha256(b"").digest()
"""The root of a log without entries."""


def hash_entry(data: bytes) -> bytes:
    """The hash of an entry (RFC 9162 2.1.1): a zero byte keeps it apart from an inner node."""
    return hashlib.sha256(b"\x00" + data).digest()


def hash_children(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(size: int, node: Node) -> bytes:
    """The root over the first `size` entries."""
    return _over(0, size, node) if size else EMPTY


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """PATH(index, D[size]): the siblings from the entry up to the root. Raises ValueError outside the tree."""
    if not 0 <= index < size:
        raise ValueError(f"entry {index} is not in a tree of {size}")
    begin, end, path = 0, size, []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_over(middle, end, node))
            end = middle
        else:
            path.append(_over(begin, middle, node))
            begin = middle
    return path[::-1]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """PROOF(old, D[new]): shows that the tree of `new` entries begins with that of `old`. Raises ValueError."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} does not begin with one of {old}")
    if old in (0, new):
        return []
    begin, end, path, whole = 0, new, [], True
    while old != end:
        middle = begin + _split(end - begin)
        if old <= middle:
            path.append(_over(middle, end, node))
            end = middle
        else:
            path.append(_over(begin, middle, node))
            begin, whole = middle, False
    if not whole:
        path.append(_over(begin, end, node))
    return path[::-1]


def proves_inclusion(index: int, size: int, entry: bytes, proof: Sequence[bytes], expected: bytes) -> bool:
    """Whether the proof leads from the entry's hash to the root (RFC 9162 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, entry
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = hash_children(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = hash_children(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == expected


def proves_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that nothing of the first `old` entries was changed (RFC 9162 2.1.4.2)."""
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY
    if not 0 < old < new or not proof:
        return False
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    was = found = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            was, found = hash_children(sibling, was), hash_children(sibling, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = hash_children(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and was == old_root and found == new_root


class Peaks:
    """The perfect subtrees a growing tree consists of: all that appending needs, whatever its size."""

    def __init__(self, size: int = 0, peaks: Sequence[bytes] = ()) -> None:
        self.size, self._peaks = size, list(peaks)

    @staticmethod
    def of(size: int, node: Node) -> Peaks:
        return Peaks(size, [node(level, number) for level, number in peaks_of(size)])

    def append(self, entry: bytes) -> list[bytes]:
        """Add the hash of one entry; the hashes of the subtrees it completes, the smallest first."""
        completed, found, left = [], entry, self.size
        while left & 1:
            found = hash_children(self._peaks.pop(), found)
            completed.append(found)
            left >>= 1
        self._peaks.append(found)
        self.size += 1
        return completed

    def root(self) -> bytes:
        if not self._peaks:
            return EMPTY
        found = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            found = hash_children(peak, found)
        return found


def peaks_of(size: int) -> list[tuple[int, int]]:
    """The (level, number) of the perfect subtrees of a tree, the largest first."""
    levels = [level for level in range(size.bit_length()) if size >> level & 1]
    return [(level, (size >> level) - 1) for level in reversed(levels)]


def _over(begin: int, end: int, node: Node) -> bytes:
    """The hash over a stretch of entries that is a subtree."""
    size = end - begin
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node(level, begin >> level)
    middle = begin + _split(size)
    return hash_children(_over(begin, middle, node), _over(middle, end, node))


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1
