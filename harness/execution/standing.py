"""Which records stand, and which cells are run again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from harness.errors import HarnessError, unknown_name

OVERWRITE = ("never", "failed", "always")
"""What happens to cells that have a record: all stay, failed ones are tried again, all are run again."""


@dataclass(frozen=True)
class Standing:
    """An overwrite policy.

    Attributes:
        overwrite: One of :data:`OVERWRITE`.
        since: Under "always", a time (ISO 8601): good records that were finished later stand, so that a sweep that was
            stopped does not begin from the beginning; "" for none.
    """

    overwrite: str = "failed"
    since: str = ""

    def checked(self) -> Standing:
        """This policy.

        Raises:
            HarnessError: Its words have no meaning.
        """
        if self.overwrite not in OVERWRITE:
            raise unknown_name("value of --overwrite", self.overwrite, OVERWRITE)
        if self.since and self.overwrite != "always":
            raise HarnessError(f"--since {self.since} has a meaning only with --overwrite always: leave it out.")
        if self.since:
            try:
                moment = datetime.fromisoformat(self.since)
            except ValueError:
                raise HarnessError(
                    f"--since {self.since}: expected a time such as 2026-11-24T20:00:00+00:00."
                ) from None
            if moment.tzinfo is None:
                raise HarnessError(f"--since {self.since}: add the time zone, for example {self.since}+00:00.")
        return self

    def holds(self, status: str | None, finished: str) -> bool:
        """Whether a cell's record stands, so that the cell is not run.

        Args:
            status: Status of its record; None where there is no record.
            finished: When the record was finished (ISO 8601).
        """
        if status is None:
            return False
        if self.overwrite != "always":
            return status == "ok" or self.overwrite == "never"
        if status != "ok" or not self.since:
            return False
        return datetime.fromisoformat(finished) >= datetime.fromisoformat(self.since)
