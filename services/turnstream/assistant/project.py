"""A whole assistant as read from its files."""

from dataclasses import dataclass, field

from turnstream.assistant.config import Endpoints, ModelConfig
from turnstream.assistant.domain import Domain
from turnstream.assistant.flows import Flow
from turnstream.assistant.nlu_data import NluData
from turnstream.assistant.stories import Rule, Story, TestStory


@dataclass(frozen=True)
class Project:
    config: ModelConfig
    domain: Domain
    nlu: NluData
    stories: tuple[Story, ...] = ()
    rules: tuple[Rule, ...] = ()
    tests: tuple[TestStory, ...] = ()
    endpoints: Endpoints = field(default_factory=Endpoints)
    flows: tuple[Flow, ...] = ()
    """Run by another engine."""
