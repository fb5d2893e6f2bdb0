"""What people decide about this ostiary as a whole while it runs. How it is started is in `ostiary.settings`."""

from ostiary.model.fields import Text, setting
from ostiary.model.resource import Resource


class HouseSettings(Resource):
    """There is one. Each field is in its form, its command and its API by its own metadata."""

    name: Text = setting("settings", "A name for people.", derived=True)
    project_id: Text = setting("", "The project that owns it.", derived=True)
    audit_retention_days: int = setting(
        400,
        "Older entries are removed from the audit record; that nothing else is missing stays provable. Standards ask for a year.",
        label="The audit record is kept for",
        group="record",
        unit="days",
        ge=30,
        le=36_500,
    )
