"""What was made since tables that are derived from the certificates were last brought up to date (SQLite; see `store.words`).

To keep them in step by a trigger for each row that is added would cost more than the row: SQLite then keeps a copy of every
page that it touches. So whoever reads them looks at what is newer besides, and once that is much it is written together.
"""

from typing import Final

WRITTEN: Final = "certificate_words_written"  # one row: up to which rowid of certificates; those of new ones are greater
NEWER: Final = f"rowid > (SELECT upto FROM {WRITTEN})"  # noqa: S608 (ours)
TOGETHER: Final = 256  # so many are written together; to look at them takes a search 2 ms
