"""Which passages belong together, given how alike each two are.

Average linkage (UPGMA; Sokal and Michener, 1958): two groups become one while the mean similarity between their members
is above the threshold, the most alike first. So one passage that looks like two topics does not chain them together,
and the mean of several unrelated pairs passes a threshold more rarely than one does: the rate that the threshold was
found for is not exceeded by groups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Pair = tuple[float, int, int]
"""How alike two groups are, and their numbers below 0, so that of equal pairs the earlier is the greater."""


def grouped(similarities: Sequence[Sequence[float]], threshold: float) -> list[list[int]]:
    """Group the indices of a symmetric table; members in order, groups by their first member.

    Ties go to the earlier pair. Time grows with the square of the number of passages, as long as topics are small.
    """
    groups = {i: [i] for i in range(len(similarities))}
    near = {i: {j: similarities[i][j] for j in groups if j != i} for i in groups}
    best = {i: _closest(i, near[i]) for i in groups}
    while True:
        pair = max((one for one in best.values() if one), default=None)
        if pair is None or pair[0] <= threshold:
            return [sorted(members) for _, members in sorted(groups.items())]
        kept, gone = -pair[1], -pair[2]
        _join(groups, near, kept, gone)
        del best[gone]
        # A mean is never above the larger of its two parts, so only who was closest to one of the two looks again.
        for other, closest in best.items():
            if other == kept or (closest and -closest[2] in (kept, gone)):
                best[other] = _closest(other, near[other])


def _closest(one: int, row: Mapping[int, float]) -> Pair | None:
    """Return the pair with the later group that is most like this one."""
    return max(((similarity, -one, -other) for other, similarity in row.items() if other > one), default=None)


def _join(groups: dict[int, list[int]], near: dict[int, dict[int, float]], kept: int, gone: int) -> None:
    """Make one group of two; its mean to another is that of theirs, weighed by size (Lance and Williams, 1967)."""
    sizes = len(groups[kept]), len(groups[gone])
    for other in near:
        if other not in (kept, gone):
            mean = (near[kept][other] * sizes[0] + near[gone][other] * sizes[1]) / sum(sizes)
            near[kept][other] = near[other][kept] = mean
            del near[other][gone]
    groups[kept] += groups.pop(gone)
    del near[gone], near[kept][gone]
