"""How to install a certificate, in a terminal: the same steps as the pages at /install."""

from typing import Annotated, Final
from urllib.parse import quote

import typer

from ostiary.cli.client import connect
from ostiary.cli.options import DataDir
from ostiary.cli.output import refusals_in_one_line

PLATFORMS: Final = ("windows", "macos", "ios", "android", "linux", "firefox", "chrome", "curl", "python", "java")


@refusals_in_one_line
def install_help(
    platform: Annotated[
        str,
        typer.Argument(help=f"One of {', '.join(PLATFORMS)}; without it, what each is.", autocompletion=lambda: list(PLATFORMS)),
    ] = "",
    ca: Annotated[str | None, typer.Option(help="Name or id of the authority that devices are to trust.")] = None,
    data_dir: DataDir = None,
) -> None:
    """Show how to install a certificate, step by step.

    Example: `ostiary cert install-help curl`
    """
    if ca is not None:
        client = connect(data_dir)
        authority_id = client.find("/v1/authorities", "authority", "authorities", ca)["id"]
        path = f"/install/{quote(platform, safe='')}" if platform else "/install"
        print(client.fetch(path, authority=authority_id, format="text").decode().rstrip())
        return
    from ostiary.web import install  # noqa: PLC0415 (templates load only when they are shown)

    print((install.guide(platform, "txt", "") if platform else install.index("txt", "")).rstrip())
