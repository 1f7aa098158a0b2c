"""Splitting a text at whitespace and at what is no part of a word.

Behaviour: https://rasa.com/docs/rasa/components#whitespacetokenizer, Rasa 3.6.
"""

import re
import unicodedata
from collections.abc import Iterator

from turnstream.assistant.components import WhitespaceTokenizerOptions
from turnstream.features.tokens import Token

_SEPARATORS = re.compile(
    # What is no part of a word, before whitespace or at the end; bounded, so that a long run costs no quadratic time.
    r"[^\w#@&]{1,64}(?=\s|$)"
    # The same at the beginning or after whitespace, unless a digit follows: the minus of -5 is dropped elsewhere.
    r"|(\s|^)[^\w#@&]+(?=[^0-9\s])"
    # What is no part of a word, a number (10'000.00), an address or a URL, between characters that are no digits.
    r"|(?<=[^0-9\s])[^\w._~:/?#\[\]()@!$&*+,;=-]+(?=[^0-9\s])",
    re.ASCII,
)
_WORD = re.compile(r"\S+")

# Words that consist of these alone are dropped. The range from U+24C2 takes Chinese, Japanese and Korean words too:
# so does Rasa, and a bot's features must not change when it moves here.
_EMOJI = re.compile(
    "[\U0001f600-\U0001f64f\U0001f300-\U0001f5ff\U0001f680-\U0001f6ff\U0001f1e0-\U0001f1ff"
    "\U00002702-\U000027b0\U000024c2-\U0001f251\u200d\u200c]+"
)

_WORD_CATEGORIES = frozenset({"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "Pc"})
_ENCLOSED_LETTERS = (
    range(0x24B6, 0x24EA),
    range(0x1F130, 0x1F14A),
    range(0x1F150, 0x1F16A),
    range(0x1F170, 0x1F18A),
)
_JOINERS = (0x200C, 0x200D)


class _Stencil(dict[int, str]):
    """Maps each character beyond ASCII to `w` (part of a word), a blank or `'`, found on demand.

    Word characters are those of Unicode's definition (UTS #18, annex C), which counts combining marks in;
    Python's own `\\w` would split a letter from its accent.
    """

    def __missing__(self, code: int) -> str:
        self[code] = found = chr(code) if code < 128 else _stencil_of(code)
        return found


def _stencil_of(code: int) -> str:
    char = chr(code)
    if char.isspace():
        return " "
    is_word = unicodedata.category(char) in _WORD_CATEGORIES or code in _JOINERS
    return "w" if is_word or any(code in letters for letters in _ENCLOSED_LETTERS) else "'"


_STENCIL = _Stencil()


def _blank(match: re.Match[str]) -> str:
    return " " * (match.end() - match.start())


class WhitespaceTokenizer:
    """Raises re.error for a `token_pattern` that is no regular expression."""

    def __init__(self, options: WhitespaceTokenizerOptions | None = None) -> None:
        self._options = options or WhitespaceTokenizerOptions()
        pattern = self._options.token_pattern
        self._pattern = re.compile(pattern) if pattern else None

    def tokenize(self, text: str) -> tuple[Token, ...]:
        """At least one token: a text without any word, an empty one too, is a token as a whole."""
        words = tuple(self._words(text)) or (Token(text, 0, len(text)),)
        if self._pattern is None:
            return words
        return tuple(part for word in words for part in self._parts(self._pattern, word))

    def intent_words(self, intent: str) -> tuple[str, ...]:
        return self._options.words_of_intent(intent)

    @staticmethod
    def _words(text: str) -> Iterator[Token]:
        stencil = text if text.isascii() else text.translate(_STENCIL)
        for match in _WORD.finditer(_SEPARATORS.sub(_blank, stencil)):
            word = text[match.start() : match.end()]
            if not _EMOJI.fullmatch(word):
                yield Token(word, match.start(), match.end())

    @staticmethod
    def _parts(pattern: re.Pattern[str], word: Token) -> tuple[Token, ...]:
        group = 1 if pattern.groups == 1 else 0
        spans = [match.span(group) for match in pattern.finditer(word.text)]
        parts = tuple(Token(word.text[s:e], word.start + s, word.start + e) for s, e in spans if e > s)
        return parts or (word,)
