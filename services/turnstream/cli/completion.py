"""`turnstream completion SHELL`: what a shell needs to complete commands and options."""

import click
from click.shell_completion import get_completion_class

from turnstream.cli.examples import examples

SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog=examples(
        'eval "$(turnstream completion bash)"          in ~/.bashrc',
        'eval "$(turnstream completion zsh)"           in ~/.zshrc',
        "turnstream completion fish | source           in ~/.config/fish/config.fish",
    )
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Write a script that completes turnstream's commands and options in SHELL."""
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "turnstream", "_TURNSTREAM_COMPLETE").source()
    click.echo(script.strip())
