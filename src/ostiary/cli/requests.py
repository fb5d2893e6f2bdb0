"""`ostiary request`: certificate requests that wait for people to agree."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from ostiary.cli.client import connect
from ostiary.cli.options import DataDir, Json
from ostiary.cli.output import as_fields, as_json, as_table, refusals_in_one_line

PATH = "/v1/certificate-requests"
COLUMNS = ("asked_for", "id", "status", "profile", "requested_by", "justification", "expires_at")

app = typer.Typer(no_args_is_help=True)

Request = Annotated[str, typer.Argument(help="Its id.")]


@app.command("list")
@refusals_in_one_line
def list_(
    all_: Annotated[bool, typer.Option("--all", help="Also those that were decided.")] = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """List requests that wait.

    Example: `ostiary request list`
    """
    found = connect(data_dir).call("GET", PATH, status=None if all_ else "PENDING")["certificate_requests"]
    if json:
        as_json(found)
    else:
        rows = ({**one, "asked_for": ", ".join(one["asked_for"])} for one in found)
        as_table(rows, COLUMNS, "No request waits.")


@app.command()
@refusals_in_one_line
def show(request: Request, data_dir: DataDir = None, json: Json = False) -> None:
    """Show who asks for what and why, and what was said of it.

    Example: `ostiary request show 6f1c…`
    """
    found = connect(data_dir).call("GET", f"{PATH}/{quote(request, safe='')}")["certificate_request"]
    (as_json if json else as_fields)(found)


@app.command()
@refusals_in_one_line
def approve(
    request: Request,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Agree to a request. The last approval that was needed issues the certificate.

    Example: `ostiary request approve 6f1c… --reason "called back"`
    """
    decided = _decide(request, "approve", reason, data_dir)
    if json:
        as_json(decided)
    elif decided["status"] == "ISSUED":
        print(f"Issued certificate {decided['certificate_id']}: ostiary cert show {decided['certificate_id']}")
    else:
        agreed = sum(one["approved"] for one in decided["decisions"])
        print(f"{agreed} of {decided['approvals_needed']} have agreed; another person has to.")


@app.command()
@refusals_in_one_line
def refuse(
    request: Request,
    reason: Annotated[str, typer.Option(help="Why; whoever asked will read it.")],
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Refuse a request.

    Example: `ostiary request refuse 6f1c… --reason "no such device"`
    """
    decided = _decide(request, "refuse", reason, data_dir)
    if json:
        as_json(decided)
    else:
        print(f"Refused request {decided['id']}.")


def _decide(request: str, verb: str, reason: str, data_dir: Any) -> dict[str, Any]:
    path = f"{PATH}/{quote(request, safe='')}/{verb}"
    decided: dict[str, Any] = connect(data_dir).call("POST", path, {"reason": reason})["certificate_request"]
    return decided
