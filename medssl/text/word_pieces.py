"""Word pieces of a corpus: the same for the same words, in whatever order they come."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

PREFIX: Final = "##"
"""Stands before a piece that continues a word."""

Pair = tuple[str, str]


def find_pieces(words: Mapping[str, int], *, limit: int, fewest: int) -> list[str]:
    """Pieces of words, most useful first: letters, then pairs merged by how often they meet.

    Byte-pair merging (Sennrich et al., ACL 2016) with the pieces of WordPiece, as the `tokenizers`
    library trains them; its own trainer breaks ties by a hash that changes with every process.
    Here the pair that comes first in the alphabet wins. Where there are more letters than `limit`,
    the most frequent stay.

    Args:
        words: How often each word occurs.
        limit: Most pieces.
        fewest: Times that a pair must occur to be merged.

    >>> find_pieces({"clear": 5, "cleared": 2}, limit=9, fewest=2)[-2:]
    ['##ear', '##lear']
    """
    split = [_letters(word) for word in words]
    counts = list(words.values())
    pieces = dict.fromkeys(_alphabet(split, counts, limit))
    held: Counter[Pair] = Counter()
    where: defaultdict[Pair, set[int]] = defaultdict(set)
    for place, word in enumerate(split):
        for pair in _pairs(word):
            held[pair] += counts[place]
            where[pair].add(place)
    queue = [(-count, pair) for pair, count in held.items()]
    heapq.heapify(queue)
    while queue and len(pieces) < limit:
        count, pair = heapq.heappop(queue)
        if -count != held[pair]:
            continue  # an older count of this pair
        if held[pair] < fewest:
            break
        merged = pair[0] + pair[1].removeprefix(PREFIX)
        pieces[merged] = None
        touched: set[Pair] = set()
        for place in where.pop(pair):
            before = split[place]
            split[place] = _merge(before, pair, merged)
            for old in _pairs(before):
                held[old] -= counts[place]
                touched.add(old)
            for new in _pairs(split[place]):
                held[new] += counts[place]
                where[new].add(place)
                touched.add(new)
        for changed in touched:
            heapq.heappush(queue, (-held[changed], changed))
    return list(pieces)


def _alphabet(split: list[list[str]], counts: list[int], limit: int) -> list[str]:
    seen: Counter[str] = Counter()
    for word, count in zip(split, counts, strict=True):
        for letter in word:
            seen[letter] += count
    return sorted(sorted(seen, key=lambda letter: (-seen[letter], letter))[: max(limit, 0)])


def _letters(word: str) -> list[str]:
    return [word[:1], *(PREFIX + letter for letter in word[1:])]


def _pairs(word: list[str]) -> list[Pair]:
    return list(pairwise(word))


def _merge(word: list[str], pair: Pair, merged: str) -> list[str]:
    found: list[str] = []
    place = 0
    while place < len(word):
        if tuple(word[place : place + 2]) == pair:
            found.append(merged)
            place += 2
        else:
            found.append(word[place])
            place += 1
    return found
