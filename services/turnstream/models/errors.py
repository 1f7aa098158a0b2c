"""What a model cannot be trained with."""


class UnsuitableOptions(ValueError):
    """Keys of a component that fit neither each other nor the data; the message is for the author."""
