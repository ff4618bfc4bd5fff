"""Looks at all that a run or a cluster needs, and says of each what it is and what to do."""

from infrastructure.doctor.examination import examine
from infrastructure.doctor.findings import Finding, is_healthy

__all__ = ["Finding", "examine", "is_healthy"]
