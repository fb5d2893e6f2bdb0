"""Files that a browser saves rather than shows."""

from fastapi.responses import Response

from ostiary.ops.handout import File


def download(file: File) -> Response:
    """A reply that is saved under the file's name. The name is plain ASCII (`handout.file_name`), so it needs no escaping."""
    headers = {"content-disposition": f'attachment; filename="{file.name}"'}
    return Response(file.content, media_type=file.media_type, headers=headers)
