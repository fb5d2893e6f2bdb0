"""Emergencies in which somebody does without approval, kept in memory for what says so on every page."""

from dataclasses import dataclass

from ostiary.model.approval import BreakGlass


@dataclass
class Emergencies:
    """`known` are those that were open when it was last looked (`ops.break_glass`)."""

    known: tuple[BreakGlass, ...] = ()
