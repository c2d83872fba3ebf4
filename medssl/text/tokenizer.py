"""A vocabulary of word pieces, trained on the reports at hand or read from a local folder."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import tokenizers
from jaxtyping import Bool, Int64
from tokenizers import decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import WordPiece

from medssl.errors import ConfigError
from medssl.files import digest_bytes
from medssl.text.deidentified import DEID
from medssl.text.word_pieces import find_pieces

PAD: Final = "[PAD]"
UNKNOWN: Final = "[UNK]"
START: Final = "[CLS]"
STOP: Final = "[SEP]"
MASK: Final = "[MASK]"
SPECIAL: Final = (PAD, UNKNOWN, START, STOP, MASK, DEID)
"""In this order, from 0, in a vocabulary that is trained here."""
_UNUSED: Final = re.compile(r"\[unused\d+\]")
_FEWEST: Final = 2
"""Times that a word piece is seen in training; rarer ones name people and places."""


class Tokenizer:
    """Word pieces as numbers, `[CLS]` before and `[SEP]` after each text.

    Args:
        inner: A tokenizer of the `tokenizers` library with the special tokens.

    >>> tokenizer = train_tokenizer(["No effusion.", "No edema."] * 2, vocabulary=60)
    >>> ids, mask = tokenizer.encode(["No edema, XXXX.".replace("XXXX", "[DEID]"), ""], tokens=16)
    >>> ids.shape, mask.sum(axis=1).tolist(), tokenizer.decode(ids[0])
    ((2, 7), [7, 2], 'no edema.')
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        inner.no_padding()
        inner.no_truncation()
        self._inner = inner
        self._replaced = MASK if inner.token_to_id(DEID) is None else DEID

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_json, (self.to_json(),)

    @classmethod
    def from_json(cls, text: str) -> Tokenizer:
        """Read what `to_json` gave.

        Raises:
            ValueError: It is no tokenizer, or one without the special tokens.
        """
        try:
            inner = tokenizers.Tokenizer.from_str(text)
        except Exception as error:  # the library raises bare exceptions
            msg = "not a tokenizer"
            raise ValueError(msg) from error
        absent = [name for name in SPECIAL[:-1] if inner.token_to_id(name) is None]
        if absent:
            msg = f"a tokenizer without {', '.join(absent)}"
            raise ValueError(msg)
        return cls(inner)

    @classmethod
    def from_folder(cls, folder: Path) -> Tokenizer:
        """The tokenizer of an encoder in the layout of Hugging Face; nothing is downloaded.

        De-identified words are one token: `[DEID]` where the vocabulary has it, else the first one
        that it sets aside (`[unused1]`), which is renamed, else `[MASK]`, which the encoder knows
        as a word that is not told.

        Args:
            folder: Holds `tokenizer.json`, or `vocab.txt` of a BERT.

        Raises:
            ConfigError: It holds neither, or one that cannot be read; says what to bring there.
        """
        folder = Path(folder)
        whole, words = folder / "tokenizer.json", folder / "vocab.txt"
        try:
            if whole.is_file():
                inner = tokenizers.Tokenizer.from_file(str(whole))
            elif words.is_file():
                inner = _bert(folder, words)
            else:
                msg = (
                    f"{folder} has neither tokenizer.json nor vocab.txt: copy the encoder's files "
                    "there from a machine with internet (huggingface-cli download NAME)"
                )
                raise ConfigError(msg)
        except ConfigError:
            raise
        except Exception as error:  # the library raises bare exceptions
            msg = f"the tokenizer in {folder} cannot be read: copy its files there again"
            raise ConfigError(msg) from error
        absent = [name for name in SPECIAL[:-1] if inner.token_to_id(name) is None]
        if absent:
            msg = (
                f"the tokenizer in {folder} has no {', '.join(absent)}: take an encoder of BERT's "
                "kind, such as ClinicalBERT"
            )
            raise ConfigError(msg)
        return cls(_with_deidentified(inner))

    def encode(
        self, texts: Sequence[str], *, tokens: int
    ) -> tuple[Int64[np.ndarray, "batch tokens"], Bool[np.ndarray, "batch tokens"]]:
        """Numbers of tokens, padded to the longest text, and where they are no padding.

        Args:
            texts: Any text, also an empty one.
            tokens: The most for one text, `[CLS]` and `[SEP]` among them; later ones are cut off.

        Raises:
            ValueError: Fewer than two tokens.
        """
        if tokens < 2:
            msg = f"room for {tokens} token(s), and [CLS] and [SEP] alone need 2"
            raise ValueError(msg)
        # One by one: it is as fast, and a batch would start threads that do not survive a fork.
        found = [self._inner.encode(text.replace(DEID, self._replaced)).ids for text in texts]
        stop = self._id(STOP)
        cut = [ids if len(ids) <= tokens else [*ids[: tokens - 1], stop] for ids in found]
        longest = max(map(len, cut), default=0)
        ids = np.full((len(cut), longest), self.pad_id, dtype=np.int64)
        mask = np.zeros((len(cut), longest), dtype=np.bool_)
        for place, row in enumerate(cut):
            ids[place, : len(row)] = row
            mask[place, : len(row)] = True
        return ids, mask

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some tokens, special ones left out."""
        text: str = self._inner.decode([int(number) for number in ids], skip_special_tokens=True)
        return text

    def to_json(self) -> str:
        """All of it as JSON, the same for the same tokenizer."""
        return json.dumps(json.loads(self._inner.to_str()), ensure_ascii=False, sort_keys=True)

    @cached_property
    def digest(self) -> str:
        """Digest of `to_json`."""
        return digest_bytes(self.to_json().encode())

    @property
    def size(self) -> int:
        """Tokens of the vocabulary."""
        return int(self._inner.get_vocab_size(with_added_tokens=True))

    @property
    def pad_id(self) -> int:
        """What fills short texts."""
        return self._id(PAD)

    @property
    def mask_id(self) -> int:
        """What hides a token in masked-language training."""
        return self._id(MASK)

    @property
    def special_ids(self) -> frozenset[int]:
        """Tokens that are no word."""
        found = (self._inner.token_to_id(name) for name in SPECIAL)
        return frozenset(number for number in found if number is not None)

    def _id(self, name: str) -> int:
        number = self._inner.token_to_id(name)
        assert number is not None  # both ways to make one look for it
        return int(number)


def train_tokenizer(
    texts: Iterable[str], *, vocabulary: int = 4000, lowercase: bool = True
) -> Tokenizer:
    """Train word pieces (WordPiece, as in BERT, arXiv 1810.04805) on texts.

    The same texts in any order give the same tokenizer, byte for byte. Pieces that are seen once
    are left out.

    Args:
        texts: Of training participants alone.
        vocabulary: Most tokens, special ones among them.
        lowercase: Whether capitals are read as small letters, and accents left out.

    Raises:
        ValueError: There is no room for words beside the special tokens.
    """
    if vocabulary <= len(SPECIAL):
        msg = f"a vocabulary of {vocabulary} tokens, of which {len(SPECIAL)} are special ones"
        raise ValueError(msg)
    normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    splitter = pre_tokenizers.BertPreTokenizer()
    words: Counter[str] = Counter()
    for text in texts:
        normal = normalizer.normalize_str(text.replace(DEID, " "))
        words.update(word for word, _ in splitter.pre_tokenize_str(normal))
    pieces = find_pieces(words, limit=vocabulary - len(SPECIAL), fewest=_FEWEST)
    numbers = {piece: number for number, piece in enumerate((*SPECIAL, *pieces))}
    inner = tokenizers.Tokenizer(WordPiece(numbers, unk_token=UNKNOWN))
    inner.normalizer = normalizer
    inner.pre_tokenizer = splitter
    inner.decoder = decoders.WordPiece()
    inner.add_special_tokens(list(SPECIAL))
    inner.post_processor = _ends(inner)
    return Tokenizer(inner)


def _bert(folder: Path, words: Path) -> tokenizers.Tokenizer:
    from tokenizers.implementations.bert_wordpiece import BertWordPieceTokenizer

    settings: dict[str, Any] = {}
    config = folder / "tokenizer_config.json"
    if config.is_file():
        settings = json.loads(config.read_text(encoding="utf-8"))
    lowercase = bool(settings.get("do_lower_case", True))
    made = BertWordPieceTokenizer(str(words), lowercase=lowercase)
    return tokenizers.Tokenizer.from_str(made.to_str())


def _with_deidentified(inner: tokenizers.Tokenizer) -> tokenizers.Tokenizer:
    """A tokenizer that reads `[DEID]` as one token, where its vocabulary has one to spare."""
    told = json.loads(inner.to_str())
    vocabulary = told["model"].get("vocab")
    if inner.token_to_id(DEID) is None and isinstance(vocabulary, dict):
        spare = sorted((number, name) for name, number in vocabulary.items() if _UNUSED.match(name))
        if spare:
            number, name = spare[0]
            # The token keeps its number, and so its place in the encoder's embeddings.
            vocabulary[DEID] = vocabulary.pop(name)
            told["added_tokens"] = [one for one in told["added_tokens"] if one["id"] != number]
            inner = tokenizers.Tokenizer.from_str(json.dumps(told))
    if inner.token_to_id(DEID) is not None:
        inner.add_special_tokens([DEID])
    if inner.post_processor is None:
        inner.post_processor = _ends(inner)
    return inner


def _ends(inner: tokenizers.Tokenizer) -> processors.BertProcessing:
    stop, start = inner.token_to_id(STOP), inner.token_to_id(START)
    assert stop is not None  # both callers have looked for them
    assert start is not None
    return processors.BertProcessing((STOP, stop), (START, start))
