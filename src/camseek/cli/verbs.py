"""How verbs are shown: by task, whole, and each with examples of its use."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from camseek.cli.output import say, to_stdout


class Resumable(click.Command):
    """A verb of which what was done stands when it is interrupted, and is not done again."""


class Verbs(click.Group):
    """Verbs under one word; their list is by task, and nothing of it is cut off."""

    def __init__(self, *args: Any, tasks: Mapping[str, Sequence[str]] | None = None, **options: Any) -> None:
        """Takes what click takes.

        Args:
            args: As they are.
            tasks: Names of verbs by what they are for; None for one list.
            options: As they are.
        """
        super().__init__(*args, **options)
        self.tasks = tasks

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the tasks, or of coming in."""
        return [name for names in self._tasks().values() for name in names]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A section for each task."""
        for task, names in self._tasks().items():
            with formatter.section(task):
                formatter.write_dl([(name, _first_sentence(self.commands[name])) for name in names])

    def _tasks(self) -> Mapping[str, Sequence[str]]:
        return self.tasks or {"Commands": list(self.commands)}

    def _main_shell_completion(self, *args: Any, **options: Any) -> None:
        # What it prints ends like any output where it cannot be written; click takes no other place for it.
        with to_stdout():
            super()._main_shell_completion(*args, **options)


def _first_sentence(command: click.Command) -> str:
    # click's own shortens to one line, and what is cut off may be what somebody looks for.
    return command.get_short_help_str(limit=1000)


def give_examples(root: click.Group, examples: Mapping[str, Sequence[str]]) -> None:
    """Puts examples under the help of verbs.

    Args:
        root: The program.
        examples: Arguments that work, by the verb, such as ``model import``.
    """
    for verb, lines in examples.items():
        command: Any = root
        for word in verb.split():
            command = command.commands[word]
        shown = "\n".join(f"  {root.name} {verb} {line}".rstrip() for line in lines)
        command.epilog = f"\b\nExamples:\n{shown}"


def give_help(command: click.Command) -> None:
    """Has the help of a verb, and of those under it, printed as everything is.

    click's own option knows no full disk.
    """
    command.add_help_option = False
    command.params.append(
        click.Option(
            ["-h", "--help"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            help="Show this message and exit.",
            callback=_show_help,
        )
    )
    for one in command.commands.values() if isinstance(command, click.Group) else ():
        give_help(one)


def _show_help(context: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        say(context.get_help())
        context.exit()
