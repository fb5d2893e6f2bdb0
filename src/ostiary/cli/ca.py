"""`ostiary ca`: its commands, from where each of them is."""

from ostiary.cli import imported, rotations
from ostiary.cli.authorities import app

app.add_typer(rotations.app, name="rotate")
app.command("roll")(rotations.roll)
app.command("revoke")(rotations.revoke)
app.command("set")(imported.set_)
app.command("fetch")(imported.fetch)
app.command("upload-crl")(imported.upload_crl)

__all__ = ("app",)
