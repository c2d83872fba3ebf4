"""A vocabulary of word pieces, trained on the reports at hand or read from a local folder."""

from __future__ import annotations

import json
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
_FEWEST: Final = 2
"""Times that a word piece is seen in training; rarer ones name people and places."""


class Tokenizer:
    """Word pieces as numbers, `[CLS]` before and `[SEP]` after each text.

    Args:
        inner: A tokenizer of the `tokenizers` library with the special tokens.
    """

    def __init__(self, inner: tokenizers.Tokenizer) -> None:
        inner.no_padding()
        inner.no_truncation()
        self._inner = inner

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_json, (self.to_json(),)

    @classmethod
    def from_json(cls, text: str) -> Tokenizer:
        """Read what `to_json` gave.

        Raises:
            ValueError: It is no tokenizer.
        """
        try:
            return cls(tokenizers.Tokenizer.from_str(text))
        except Exception as error:  # the library raises bare exceptions
            msg = "not a tokenizer"
            raise ValueError(msg) from error

    @classmethod
    def from_folder(cls, folder: Path) -> Tokenizer:
        """The tokenizer of an encoder in the layout of Hugging Face; nothing is downloaded.

        De-identified words are one token: `[DEID]` where the vocabulary has it, else a token that
        is set aside as unused, else `[UNK]`.

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
        except Exception as error:
            msg = f"the tokenizer in {folder} cannot be read: copy its files there again"
            raise ConfigError(msg) from error
        for name in (PAD, START, STOP, MASK):
            if inner.token_to_id(name) is None:
                msg = f"the tokenizer in {folder} has no {name}: take an encoder of BERT's kind"
                raise ConfigError(msg)
        return cls(_with_deidentified(inner))

    def encode(
        self, texts: Sequence[str], *, tokens: int
    ) -> tuple[Int64[np.ndarray, "batch tokens"], Bool[np.ndarray, "batch tokens"]]:
        """Numbers of tokens, padded to the longest text, and where they are no padding.

        Args:
            texts: Any text, also an empty one.
            tokens: The most for one text, `[CLS]` and `[SEP]` among them; later ones are cut off.
        """
        found = [encoding.ids for encoding in self._inner.encode_batch(list(texts))]
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
        lowercase: Whether capitals count.
    """
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
    inner.post_processor = processors.BertProcessing((STOP, numbers[STOP]), (START, numbers[START]))
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
    """A tokenizer that reads `[DEID]` as one token it has."""
    if inner.token_to_id(DEID) is not None:
        return inner
    unused = next(
        (name for name in ("[unused1]", "[unused0]", UNKNOWN) if inner.token_to_id(name)), None
    )
    if unused is None:
        return inner
    replaced = normalizers.Replace(DEID, f" {unused} ")
    inner.normalizer = (
        normalizers.Sequence([replaced, inner.normalizer]) if inner.normalizer else replaced
    )
    inner.add_special_tokens([unused])
    return inner
