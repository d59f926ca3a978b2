"""Where the platform's own tables are gathered, whichever file describes them."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()
