"""Training data written as YAML, as people write it: keys in order, long texts as blocks."""

from typing import Any

import yaml

FORMAT_VERSION = "3.1"


class Block(str):
    """A text that is written as a block, so that no character of it needs escaping."""

    __slots__ = ()


class _Dumper(yaml.SafeDumper):
    pass


def _represent_block(dumper: yaml.SafeDumper, text: Block) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")


_Dumper.add_representer(Block, _represent_block)


def training_yaml(**sections: Any) -> str:
    """A file of training data with these sections."""
    return _yaml({"version": FORMAT_VERSION, **sections})


def item_yaml(item: Any) -> str:
    """One item of a list, with the dash before it."""
    return _yaml([item])


def _yaml(content: Any) -> str:
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10**9)
