"""Cuts a question into words that two questions can be compared by: contractions and set phrases in one form, courtesy
and fillers off. It must never take away a word that an answer depends on.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from tuppence.cache.decision.word_lists import WordLists, word_lists

_TOKEN = re.compile(
    r"(?:[^\W\d_]\.){2,}"
    r"|(?<![\w)])-\d+(?:[.,]\d+)*|\d+(?:[.,:]\d+)*"
    r"|[^\W\d_](?:\+\+|#)"
    r"|[^\W\d_]+(?:'[^\W\d_]+)*"
    r"|[$€£¥₹%&+*/^=<>|\\×÷√∫∑∞≤≥≠±→]"
    r"|[.?!;:\n]"
)
_ENDS = frozenset(".?!;:\n")


class Token(NamedTuple):
    """A word, a number or a sign."""

    word: str
    """Lower-case."""
    surface: str
    """As it was written; empty where it stands for something longer."""
    glued: bool
    """Nothing was between it and the token before."""
    opens: bool
    """It is the first of its sentence, where a capital says nothing."""

    @property
    def capital(self) -> bool:
        return self.surface[:1].isupper()


def tokens_of(text: str) -> list[Token]:
    """Cut `text` into tokens, with phrases replaced and fillers taken off its ends."""
    lists = word_lists()
    return _without_fillers(_with_phrases(_expanded(_cut(_plain(text)), lists), lists), lists)


def sentences_of(text: str) -> list[str]:
    """Return the sentences of `text` as plain words: lower-case, contractions and set phrases written out."""
    lists = word_lists()
    found: list[list[Token]] = []
    for token in _with_phrases(_expanded(_cut(_plain(text)), lists), lists):
        if token.opens or not found:
            found.append([])
        found[-1].append(token)
    return [" ".join(token.word for token in _without_fillers(sentence, lists)) for sentence in found]


def _plain(text: str) -> str:
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).replace("’", "'")
    return text.replace("`", "'")


def _cut(text: str) -> list[Token]:
    found: list[Token] = []
    opens, end = True, -1
    for match in _TOKEN.finditer(text):
        surface = match.group()
        if surface in _ENDS:
            # "3 p.m. in" and "Mr. Lee" go on; a colon inside a sentence does too, for names at least.
            opens = True
            continue
        if "." in surface and surface[0].isalpha():
            surface = surface.replace(".", "")
        found.append(Token(surface.lower(), surface, match.start() == end, opens))
        opens, end = False, match.end()
    return found


def _expanded(tokens: list[Token], lists: WordLists) -> list[Token]:
    found: list[Token] = []
    for token in tokens:
        word = token.word
        if long := lists.contractions.get(word):
            # Capital "US" is the country, and "IM" hardly ever "I am".
            if token.surface.isupper() and len(word) > 1 and "'" not in word:
                found.append(token)
            else:
                found += [Token(part, "", False, token.opens and not i) for i, part in enumerate(long)]
        elif token.surface == "US":
            found.append(token._replace(word="usa"))
        elif "'" not in word or (word,) in lists.phrases:
            found.append(token)
        elif word.endswith("'s"):
            found.append(token._replace(word=word[:-2], surface=token.surface[:-2]))
        else:
            found += [Token(part.lower(), part, False, token.opens) for part in token.surface.split("'") if part]
    return found


def _with_phrases(tokens: list[Token], lists: WordLists) -> list[Token]:
    words = tuple([token.word for token in tokens])
    found: list[Token] = []
    i = 0
    while i < len(tokens):
        for length in lists.phrase_lengths.get(words[i], ()):
            meant = lists.phrases.get(words[i : i + length])
            if meant is not None:
                opens = tokens[i].opens
                found += [Token(word, "", False, opens and not n) for n, word in enumerate(meant)]
                i += length
                break
        else:
            found.append(tokens[i])
            i += 1
    return found


def _without_fillers(tokens: list[Token], lists: WordLists) -> list[Token]:
    """Take fillers off both ends, again and again; what is nothing but fillers is left as it is."""
    words = tuple([token.word for token in tokens])
    start, end = 0, len(words)
    while start < end and (taken := _filler(words[start:end], lists)):
        start += taken
    while start < end and (taken := _filler_at_end(words[start:end], lists)):
        end -= taken
    return tokens[start:end] or tokens


def _filler(words: tuple[str, ...], lists: WordLists) -> int:
    lengths = lists.filler_lengths.get(words[0], ())
    return next((length for length in lengths if words[:length] in lists.fillers), 0)


def _filler_at_end(words: tuple[str, ...], lists: WordLists) -> int:
    lengths = lists.filler_end_lengths.get(words[-1], ())
    return next((length for length in lengths if words[-length:] in lists.fillers), 0)
