"""How verbs are shown: by task, whole, and each with examples of its use."""

from collections.abc import Mapping, Sequence
from typing import Any

import click


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
