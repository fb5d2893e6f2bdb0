"""Reviews and evidence packs in the console: what is due, what there is to look at, a sign-off, and a file for the auditor."""

import io
import json
import zipfile

from console.visitor import Visitor
from ostiary.model.query import Query
from ostiary.model.review import Review
from ostiary.ops import reviews
from support.systems import ADMIN

HOME = "/console/reviews"
CREATE = f"{HOME}/create"
REPORT = "/console/audit/report"
HOSTILE = "<script>alert(1)</script>\"'&amp;"


def found(visitor: Visitor) -> tuple[Review, ...]:
    return reviews.find(visitor.system, ADMIN, Query()).items


def test_where_nothing_was_signed_off_all_are_due_and_it_says_what_for(visitor: Visitor) -> None:
    page = visitor.get(HOME)
    assert page.text.count("Due") == 3
    assert "Nothing was signed off yet" in page.text


def test_a_review_is_signed_off_and_stands_there_with_what_there_was(visitor: Visitor) -> None:
    page = visitor.get(f"{CREATE}?subject=access")
    assert "Client certificates in force" in page.text
    page = page.form(CREATE).send(note="with both leads\nof the team", findings=HOSTILE)
    assert page.said == "The review was signed off."
    (one,) = found(visitor)
    assert (one.subject, one.reviewed_by, one.findings) == ("access", "admin", HOSTILE)
    assert len(page.root.every("script")) == 1
    assert HOSTILE in page.text
    assert one.at_hash in page.text
    home = visitor.get(HOME)
    assert home.text.count("Due") == 2
    assert len(home.root.every("script")) == 1
    again = visitor.get(f"{CREATE}?subject=access").form(CREATE)
    assert again.values("since")[0].startswith(f"{one.until:%Y-%m-%dT%H:%M}")


def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(visitor: Visitor) -> None:
    page = visitor.get(f"{CREATE}?subject=exceptions").form(CREATE).send(since="soon", note="half a page of notes")
    assert page.status == 422
    assert "is not a day and time" in page.error("since")
    assert page.form(CREATE).values("note") == ["half a page of notes"]
    page = page.form(CREATE).send(since="2026-01-01T00:00", until="2999-01-01T00:00")
    assert "must not be in the future" in page.error("until")
    assert found(visitor) == ()
    assert visitor.raw("GET", f"{CREATE}?subject=everything").status_code == 400


def test_an_auditor_signs_off_and_asks_for_a_pack(visitor: Visitor) -> None:
    with visitor.another("ann", "auditor") as ann:
        ann.get(f"{CREATE}?subject=refusals").form(CREATE).send(findings="none")
        assert found(visitor)[0].reviewed_by == "ann"
        page = ann.get(REPORT)
        form = page.form(REPORT)
        assert form.values("framework") == ["pci-4.0.1"]
        (since,), (until,) = form.values("from"), form.values("to")
        assert (since[8:], since < until) == ("01", True)
        sent = [
            ("csrf", form.values("csrf")[0]),
            ("framework", "soc2"),
            ("framework", "iso-27001"),
            ("from", since),
            ("to", until),
        ]
        reply = ann.post(REPORT, [*sent, ("record", "true")]).reply
        assert reply.headers["content-type"] == "application/zip"
        with zipfile.ZipFile(io.BytesIO(reply.content)) as pack:
            manifest = json.loads(pack.read("manifest.json"))
        assert (manifest["frameworks"], manifest["made_by"]) == (["soc2", "iso-27001"], "ann")


def test_a_pack_of_nothing_is_not_made_and_the_form_says_why(visitor: Visitor) -> None:
    form = visitor.get(REPORT).form(REPORT)
    page = visitor.post(REPORT, [("csrf", form.values("csrf")[0]), ("from", "2026-10-01"), ("to", "2026-09-01")])
    assert page.status == 422
    assert "say for which" in page.text
    page = visitor.post(
        REPORT, [("csrf", form.values("csrf")[0]), ("framework", "soc2"), ("from", "2026-10-01"), ("to", "2026-09-01")]
    )
    assert "must be before the end of the period" in page.text
    assert page.form(REPORT).values("framework") == ["soc2"]
    assert page.form(REPORT).values("from") == ["2026-10-01"]


def test_the_record_tells_of_both_in_words(visitor: Visitor) -> None:
    visitor.get(f"{CREATE}?subject=access").form(CREATE).send(findings="none")
    assert "Signed off a review" in visitor.get("/console/audit").text
    form = visitor.get(REPORT).form(REPORT)
    fields = [("csrf", form.values("csrf")[0]), ("framework", "soc2"), ("from", "2026-10-01"), ("to", "2026-10-02")]
    assert visitor.post(REPORT, fields).reply.status_code == 200
    assert "Made an evidence pack" in visitor.get("/console/audit").text
