"""Groups of commands that load when one of them is called: `ostiary status` does not wait for all that others need."""

from functools import cached_property
from importlib import import_module
from typing import Any, Final

import typer.main
from typer.core import TyperCommand, TyperGroup

MARKUP: Final = "markdown"


class Later(TyperCommand):
    """A group as it stands in a list of commands. `module` of this package has it as `app`."""

    def __init__(self, name: str, module: str, help_: str) -> None:
        super().__init__(name, help=help_)
        self._module = module

    @cached_property
    def whole(self) -> TyperGroup:
        """The group itself."""
        found = import_module(f"ostiary.cli.{self._module}")
        shell = typer.Typer(rich_markup_mode=MARKUP)
        shell.add_typer(found.app, name=self.name, help=self.help)
        group = typer.main.get_group(shell).commands[str(self.name)]
        assert isinstance(group, TyperGroup)  # noqa: S101 (`add_typer` makes one)
        return group

    @property
    def commands(self) -> Any:
        """What is in it, by name."""
        return self.whole.commands


class WithLater(TyperGroup):
    """A group in which some are `Later`."""

    later: tuple[Later, ...] = ()

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands.update({str(one.name): one for one in self.later})

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """See click."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.whole if isinstance(command, Later) else command, rest
