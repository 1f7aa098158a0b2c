import json
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.shared import GOLDEN
from turnstream.assistant.components import WhitespaceTokenizerOptions, read_component
from turnstream.assistant.config import ComponentConfig
from turnstream.assistant.location import NOWHERE, Location
from turnstream.assistant.problems import Problems
from turnstream.features.whitespace_tokenizer import WhitespaceTokenizer

TOKENIZER = WhitespaceTokenizer()


def words(text: str) -> list[str]:
    return [token.text for token in TOKENIZER.tokenize(text)]


def recorded_tokens() -> Iterator[tuple[str, list[list[int]]]]:
    record = json.loads((GOLDEN / "micro/surface/nlu-whitespace-tokens/golden.json").read_text())
    for conversation in record["conversations"]:
        for turn in conversation["turns"]:
            for event in turn["events"]:
                if event["event"] == "user":
                    yield event["text"], event["parse_data"]["text_tokens"]


@pytest.mark.parametrize(("text", "spans"), list(recorded_tokens()))
def test_spans_are_those_that_rasa_recorded(text: str, spans: list[list[int]]) -> None:
    assert [[token.start, token.end] for token in TOKENIZER.tokenize(text)] == spans


def test_all_texts_of_the_large_records_are_split_as_recorded() -> None:
    for path in sorted(GOLDEN.glob("*.json")):
        for text, parse in json.loads(path.read_text())["parses"].items():
            if "text_tokens" in parse:
                assert [[t.start, t.end] for t in TOKENIZER.tokenize(text.strip())] == parse["text_tokens"], text


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=40))
def test_every_token_is_the_text_at_its_offsets_in_order(text: str) -> None:
    tokens = TOKENIZER.tokenize(text)
    assert tokens
    assert all(text[token.start : token.end] == token.text for token in tokens)
    assert all(before.end <= after.start for before, after in pairwise(tokens))


@given(st.text(alphabet="ab1 .,-'!#@&/:é\u0301ß½你👍\t\u200d_()", max_size=30))
def test_tokens_hold_no_whitespace_unless_the_text_is_one_token(text: str) -> None:
    tokens = TOKENIZER.tokenize(text)
    assert len(tokens) == 1 or not any(char.isspace() for token in tokens for char in token.text)


def test_a_letter_keeps_its_combining_accent() -> None:
    assert words("e\u0301te\u0301 ici") == ["e\u0301te\u0301", "ici"]


def test_numbers_and_addresses_stay_whole() -> None:
    assert words("10'000.00 for joe.b+c@mail.example") == ["10'000.00", "for", "joe.b+c@mail.example"]


def test_chinese_words_are_dropped_beside_others_as_in_rasa() -> None:
    assert words("你好 hello") == ["hello"]


def test_a_token_pattern_splits_further_and_a_word_without_a_match_stays() -> None:
    tokenizer = WhitespaceTokenizer(WhitespaceTokenizerOptions(token_pattern="[a-z]+"))
    assert [(t.text, t.start, t.end) for t in tokenizer.tokenize("ab1cd 22")] == [
        ("ab", 0, 2),
        ("cd", 3, 5),
        ("22", 6, 8),
    ]


def test_a_group_in_the_token_pattern_is_the_token() -> None:
    tokenizer = WhitespaceTokenizer(WhitespaceTokenizerOptions(token_pattern="x([a-z])"))
    assert [(t.text, t.start) for t in tokenizer.tokenize("xaxb")] == [("a", 1), ("b", 3)]


def test_intents_are_split_only_when_asked() -> None:
    assert TOKENIZER.intent_words("hi+bye") == ("hi+bye",)
    options = WhitespaceTokenizerOptions(intent_tokenization_flag=True, intent_split_symbol="+")
    assert WhitespaceTokenizer(options).intent_words("hi+bye") == ("hi", "bye")


@pytest.mark.parametrize(
    ("intent", "words"),
    [("at+home!ask+greet", ("at+home", "ask", "greet")), ("ask+greet", ("ask", "greet")), ("at!ask", ("at", "ask"))],
)
def test_a_prefix_of_an_intent_stays_whole(intent: str, words: tuple[str, ...]) -> None:
    options = WhitespaceTokenizerOptions(
        intent_tokenization_flag=True, intent_split_symbol="+", prefix_separator_symbol="!"
    )
    assert WhitespaceTokenizer(options).intent_words(intent) == words


def test_a_symbol_that_splits_intents_is_not_empty() -> None:
    problems = Problems()
    assert read_component(ComponentConfig("WhitespaceTokenizer", {"intent_split_symbol": ""}), problems) is None
    assert [error.message for error in problems.errors] == [
        "WhitespaceTokenizer: 'intent_split_symbol' must not be empty."
    ]


def test_a_token_pattern_that_is_no_regular_expression_is_refused_at_its_key() -> None:
    problems = Problems()
    where = Location("config.yml", 4)
    config = ComponentConfig("WhitespaceTokenizer", {"token_pattern": "("}, NOWHERE, {"token_pattern": where})
    assert read_component(config, problems) is None
    (problem,) = problems.errors
    assert problem.location == where
    assert "'token_pattern' is no regular expression" in problem.message
