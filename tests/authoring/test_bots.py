"""Public bots hold no false alarm: all that is told of them is listed here, and is so."""

import pytest
from support.shared import BOTS
from turnstream.assistant.reader import ProjectPaths
from turnstream.authoring.validation import examine

SPACY = "needs a downloaded spaCy model"
TOKENS = "config.yml:8: CountVectorsFeaturizer: 'token_pattern' has no effect"
TRUE = {
    "concertbot": [
        "config.yml:25: TEDPolicy: 'max_training_samples' has no effect",
        "domain.yml:17: Nothing finds the entity 'name'",
    ],
    "e2ebot": ["config.yml:6: LanguageModelFeaturizer needs a downloaded language model"],
    "formbot": [TOKENS],
    "helpdesk-assistant": [
        "data/nlu.yml:356: 'yes thanks' is an example of 'affirm' and of 'thank'",
        "tests/test_conversations.yml:1: The file has the version '2.0'",
    ],
    "initial-project": [],
    "knowledgebasebot": [],
    "moodbot": [
        *(f"config.yml:{line}: {name} {SPACY}" for line, name in ((5, "SpacyNLP"), (7, "SpacyTokenizer"))),
        f"config.yml:8: SpacyFeaturizer {SPACY}",
        "data/nlu.yml:21: 'good afternoon' is an example of 'goodbye' and of 'greet'",
    ],
    "reminderbot": [
        *(f"config.yml:{line}: {name} {SPACY}" for line, name in ((14, "SpacyNLP"), (16, "SpacyEntityExtractor"))),
        "domain.yml:14: The intent 'EXT_reminder' has no examples and is not used",
    ],
    "responseselectorbot": ["data/nlu.yml:22: 'good afternoon' is an example of 'goodbye' and of 'greet'"],
    "rules": [
        TOKENS,
        "data/nlu.yml:36: The intent 'request_restaurant' has examples but is not in the domain",
        "data/nlu.yml:37: The entity 'cuisine' is annotated but is not in the domain",
        "data/nlu.yml:197: The entity 'seating' is annotated but is not in the domain",
        "data/nlu.yml:207: The entity 'feedback' is annotated but is not in the domain",
        "data/nlu.yml:222: The intent 'thankyou' has examples but is not in the domain",
        "data/nlu.yml:252: The intent 'chitchat' has examples but is not in the domain",
        "data/nlu.yml:292: The intent 'stop' has examples but is not in the domain",
        "data/nlu.yml:314: The intent 'bot_challenge' has examples but is not in the domain",
        "domain.yml:5: The intent 'inform' is understood, but no story, rule, form or slot uses it",
        "domain.yml:7: The intent 'stopp' has no examples and is not used",
        "domain.yml:13: The intent 'switch_faq' has no examples and is not used",
        "domain.yml:98: The response 'utter_did_you_mean' is never used",
        "domain.yml:100: The response 'utter_revert_fallback_and_reapply_last_intent' is never used",
    ],
}


@pytest.mark.parametrize("bot", TRUE)
def test_only_what_is_so_is_told(bot: str) -> None:
    found = examine(ProjectPaths.default(BOTS / bot))
    told = [str(problem) for problem in (*found.errors, *found.warnings)]
    assert [text[: len(true)] for text, true in zip(told, TRUE[bot], strict=True)] == TRUE[bot]


def test_every_bot_is_looked_at() -> None:
    assert {path.name for path in BOTS.iterdir() if path.is_dir()} == {*TRUE, "rasa-test-data"}
