"""Merkle hashing: the published vectors of RFC 6962 logs, and every proof of every small tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clew.audit.sealing.merkle import (
    EMPTY,
    Node,
    Peaks,
    consistency_proof,
    hash_children,
    hash_entry,
    inclusion_proof,
    peaks_of,
    proves_consistency,
    proves_inclusion,
    root,
)

# The entries, roots and paths that Certificate Transparency's reference implementations are tested with.
ENTRIES = [
    bytes.fromhex(each)
    for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = (
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
A = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
B = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
C = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
D = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
E = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
F = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUSION = {
    (0, 1): (),
    (0, 8): (A, B, C),
    (5, 8): (D, E, ROOTS[4]),
    (2, 3): (ROOTS[2],),
    (1, 5): (ROOTS[1], B, D),
}
CONSISTENCY = {(1, 1): (), (1, 8): (A, B, C), (6, 8): (F, E, ROOTS[4]), (2, 5): (B, D)}


def tree(hashes: list[bytes]) -> Node:
    """Straight from the definition: every perfect subtree by folding its entries."""

    def node(level: int, number: int) -> bytes:
        if level == 0:
            return hashes[number]
        return hash_children(node(level - 1, 2 * number), node(level - 1, 2 * number + 1))

    return node


HASHES = [hash_entry(each) for each in ENTRIES]


def test_published_roots() -> None:
    assert [root(size, tree(HASHES)).hex() for size in range(9)] == list(ROOTS)


@pytest.mark.parametrize(("where", "path"), INCLUSION.items())
def test_published_inclusion_proofs(where: tuple[int, int], path: tuple[str, ...]) -> None:
    index, size = where
    proof = inclusion_proof(index, size, tree(HASHES))
    assert [each.hex() for each in proof] == list(path)
    assert proves_inclusion(index, size, HASHES[index], proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("sizes", "path"), CONSISTENCY.items())
def test_published_consistency_proofs(sizes: tuple[int, int], path: tuple[str, ...]) -> None:
    proof = consistency_proof(*sizes, tree(HASHES))
    assert [each.hex() for each in proof] == list(path)
    assert proves_consistency(*sizes, *(bytes.fromhex(ROOTS[size]) for size in sizes), proof)


@given(st.integers(1, 150), st.data())
def test_every_proof_holds_and_no_altered_one_does(size: int, data: st.DataObject) -> None:
    hashes = [hash_entry(str(at).encode()) for at in range(size)]
    node, whole = tree(hashes), root(size, tree(hashes))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, node)
    assert proves_inclusion(index, size, hashes[index], proof, whole)
    assert not proves_inclusion(index, size, hash_entry(b"other"), proof, whole)
    assert not proves_inclusion(index, size, hashes[index], [*proof, EMPTY], whole)
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        assert not proves_inclusion(index, size, hashes[index], [*proof[:at], EMPTY, *proof[at + 1 :]], whole)
        assert not proves_inclusion(index, size, hashes[index], proof[:-1], whole)


@given(st.integers(0, 150), st.integers(0, 150), st.data())
def test_consistency_holds_exactly_when_the_beginning_is_the_same(one: int, other: int, data: st.DataObject) -> None:
    old, new = sorted((one, other))
    hashes = [hash_entry(str(at).encode()) for at in range(new)]
    node = tree(hashes)
    proof = consistency_proof(old, new, node)
    assert proves_consistency(old, new, root(old, node), root(new, node), proof)
    assert len(proof) <= 2 * new.bit_length()
    if old:
        at = data.draw(st.integers(0, old - 1))
        changed = tree([*hashes[:at], hash_entry(b"changed"), *hashes[at + 1 :]])
        rebuilt = consistency_proof(old, new, changed)
        assert not proves_consistency(old, new, root(old, node), root(new, changed), rebuilt)
        assert not proves_consistency(old, new, root(old, node), root(new, changed), proof)


@given(st.integers(0, 200))
def test_growing_gives_the_nodes_and_roots_of_the_definition(size: int) -> None:
    hashes = [hash_entry(str(at).encode()) for at in range(size)]
    node, peaks = tree(hashes), Peaks()
    for at, each in enumerate(hashes):
        completed = peaks.append(each)
        assert completed == [node(level, at >> level) for level in range(1, len(completed) + 1)]
        assert len(completed) == (~at & at + 1).bit_length() - 1
    assert peaks.root() == root(size, node)
    again = Peaks.of(size, node)
    assert (again.size, again.root()) == (size, peaks.root())
    assert sum(1 << level for level, _ in peaks_of(size)) == size


def test_what_is_not_in_the_tree_has_no_proof() -> None:
    node = tree(HASHES)
    for index, size in ((8, 8), (-1, 8), (0, 0)):
        with pytest.raises(ValueError, match="not in a tree"):
            inclusion_proof(index, size, node)
        assert not proves_inclusion(index, size, HASHES[0], [], EMPTY)
    with pytest.raises(ValueError, match="does not begin"):
        consistency_proof(8, 7, node)
    assert not proves_consistency(8, 7, EMPTY, EMPTY, [])
    assert not proves_consistency(3, 7, EMPTY, EMPTY, [])
