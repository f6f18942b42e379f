"""Search over the chunks with BM25: one index for each chatbot, in memory, built when it is first asked for.

An index is as new as the question: before each search the sources are asked which runs' chunks are read now,
and what changed since is read again. Source: Robertson and Zaragoza, "The Probabilistic Relevance Framework:
BM25 and Beyond", 2009; with Lucene's form of the inverse document frequency, which is never negative.
"""

import asyncio
import re
import unicodedata
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import bm25s
import numpy as np
import numpy.typing as npt

from app.stores.chunks import Chunk, Chunks
from app.stores.source import ActiveSource, Source
from app.stores.sources import Sources

MAX_HITS = 50
MAX_INDEX_CHUNKS = 50_000
MAX_KEPT_CHUNKS = 100_000
_BUILDS = 3
_WORD = re.compile(r"\w+")
# Scripts without spaces between words: Han, kana, Hangul, Thai, Lao, Khmer, Myanmar.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that matches, its source, and its BM25 score, which compares within one answer only."""

    score: float
    chunk: Chunk
    source: Source


@dataclass(frozen=True, slots=True)
class Found:
    """The best hits, best first, out of how many chunks."""

    hits: tuple[Hit, ...]
    chunks_searched: int


@dataclass(slots=True)
class _Index:
    """The chunks of one chatbot by source, and the BM25 scores over them; immutable once built."""

    active: tuple[ActiveSource, ...] = ()
    by_source: Mapping[ActiveSource, tuple[Chunk, ...]] = field(default_factory=dict)
    chunks: tuple[Chunk, ...] = ()
    ranks: bm25s.BM25 | None = None
    """None when no chunk has a word."""


class Search:
    """Finds chunks by their words.

    In memory are at most `max_kept_chunks` chunks and their indexes; the ones not asked for longest go first. Of
    a chatbot with more than 50,000 chunks only the first 50,000 are searched.
    """

    def __init__(self, sources: Sources, chunks: Chunks, max_kept_chunks: int = MAX_KEPT_CHUNKS) -> None:
        self._sources = sources
        self._chunks = chunks
        self._max_kept_chunks = max_kept_chunks
        self._indexes: OrderedDict[tuple[str, str | None], _Index] = OrderedDict()
        self._building: WeakValueDictionary[tuple[str, str | None], asyncio.Lock] = WeakValueDictionary()

    async def find(self, tenant: str, chatbot_id: str | None, query: str, limit: int = 10) -> Found:
        """The chunks that have words of the query; of all the tenant's chatbots when `chatbot_id` is None.

        Raises:
            StoreUnavailableError: MongoDB does not answer.
            ValueError: `limit` is not between 1 and 50.
        """
        if not 1 <= limit <= MAX_HITS:
            msg = f"a search has 1 to {MAX_HITS} hits, not {limit}"
            raise ValueError(msg)
        index = await self._current((tenant, chatbot_id))
        best = await asyncio.to_thread(_best, index, words(query), limit)
        sources = await asyncio.gather(*(self._sources.get(tenant, chunk.source_id) for _, chunk in best))
        # A source may have been removed since the index was made: its text is not shown.
        hits = [Hit(score, chunk, source) for (score, chunk), source in zip(best, sources, strict=True) if source]
        return Found(tuple(hits), len(index.chunks))

    async def _current(self, key: tuple[str, str | None]) -> _Index:
        # One build at a time for each chatbot: those who ask meanwhile wait for it, and then find it new.
        lock = self._building.setdefault(key, asyncio.Lock())
        async with lock:
            index = self._indexes.get(key, _Index())
            active = await self._sources.active(*key)
            for _ in range(_BUILDS):
                if active == index.active:
                    break
                index = await self._build(index, active)
                # What was read again while it was being read here is read once more.
                active = await self._sources.active(*key)
            self._keep(key, index)
            return index

    async def _build(self, old: _Index, active: tuple[ActiveSource, ...]) -> _Index:
        by_source: dict[ActiveSource, tuple[Chunk, ...]] = {}
        count = 0
        for source in active:
            kept = old.by_source.get(source)
            chunks = kept if kept is not None else await self._chunks.read(source)
            if chunks is None:
                # Read again since: the caller sees that, and asks anew.
                continue
            by_source[source] = chunks[: MAX_INDEX_CHUNKS - count]
            count += len(by_source[source])
            if count >= MAX_INDEX_CHUNKS:
                break
        all_chunks = tuple(chunk for chunks in by_source.values() for chunk in chunks)
        ranks = await asyncio.to_thread(_rank, [chunk.text for chunk in all_chunks])
        return _Index(active, by_source, all_chunks, ranks)

    def _keep(self, key: tuple[str, str | None], index: _Index) -> None:
        self._indexes[key] = index
        self._indexes.move_to_end(key)
        kept = sum(len(each.chunks) for each in self._indexes.values())
        while kept > self._max_kept_chunks and len(self._indexes) > 1:
            _, oldest = self._indexes.popitem(last=False)
            kept -= len(oldest.chunks)


def words(text: str) -> list[str]:
    """The words of a text as they are compared: compatibility forms, case and accents folded.

    Where a script has no spaces between words, each two neighbouring characters are one.
    """
    # Once more after folding: it may give characters that can be taken apart again (Unicode, D146).
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    # Accents only: in other scripts a combining mark is a vowel, and without it the word is another one.
    plain = re.sub("[\u0300-\u036f]", "", decomposed)
    found: list[str] = []
    for word in _WORD.findall(unicodedata.normalize("NFC", plain)):
        if _UNSPACED.search(word):
            found.extend(_pairs(word))
        else:
            found.append(word)
    return found


def _pairs(word: str) -> list[str]:
    if len(word) == 1:
        return [word]
    return [word[at : at + 2] for at in range(len(word) - 1)]


def _rank(texts: list[str]) -> bm25s.BM25 | None:
    corpus = [words(text) for text in texts]
    if not any(corpus):
        return None
    ranks = bm25s.BM25(backend="numpy", csc_backend="numpy", auto_compile=False)
    ranks.index(corpus, show_progress=False)
    return ranks


def _best(index: _Index, query: list[str], limit: int) -> list[tuple[float, Chunk]]:
    if index.ranks is None or not query:
        return []
    scores: npt.NDArray[np.float32] = index.ranks.get_scores(list(dict.fromkeys(query)))
    matching = np.flatnonzero(scores > 0)
    # Stable, so that equal scores keep the order of the text.
    order = matching[np.argsort(-scores[matching], kind="stable")][:limit]
    return [(float(scores[place]), index.chunks[place]) for place in order]
