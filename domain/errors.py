"""The error tree. Each message is one line that says what is wrong and what to do about it.

The command line turns an error into one line on stderr and the exit code beside its class.
"""

from collections.abc import Sequence

Place = tuple[str | int, ...]


def dotted(place: Place) -> str:
    """A place in the configuration as one word: match.periods.0.file."""
    return ".".join(str(part) for part in place) or "configuration"


class FootAnalyticsError(Exception):
    """Anything that this product reports on purpose."""

    exit_code = 1


class InputError(FootAnalyticsError):
    """The user gave something that cannot be processed: a path, a video, an option."""

    exit_code = 2


class InputMissingError(InputError):
    """A file of the input is not there: gone, or this machine does not see its folder."""


class UnknownPipelineError(InputError):
    """There is no pipeline of that id."""


class ConfigurationError(InputError):
    """An option is unknown or out of its legal range.

    `problems` holds each bad option's place in the configuration and what is wrong with it.
    """

    problems: "Sequence[tuple[Place, str]]" = ()

    @classmethod
    def of(cls, problems: "Sequence[tuple[Place, str]]") -> "ConfigurationError":
        """The error of these problems, in one line."""
        error = cls("; ".join(f"{dotted(place)}: {text}" for place, text in problems))
        error.problems = tuple(problems)
        return error


class PlanError(InputError):
    """The chosen stages cannot run together: something that one requires, nothing produces."""


class TableError(FootAnalyticsError):
    """A table or an array does not have the promised columns, types or ranges."""


class ResourceError(FootAnalyticsError):
    """The machine lacks something: disk, memory, a permission."""


class WorkerLostError(ResourceError):
    """The process that did a job died: out of memory, killed, or crashed by what it read."""


class DeviceMemoryError(ResourceError):
    """The GPU's memory does not hold even one image at a time."""


class DeviceLostError(ResourceError):
    """The GPU failed; nothing more can be done on it by this process."""


class StateLostError(ResourceError):
    """The state store has forgotten everything and must be rebuilt from storage."""


class ArtifactError(FootAnalyticsError):
    """An artifact is missing or its bytes are not the ones its name promises."""


class LostCellError(ArtifactError):
    """What a finished cell left is gone or changed: the cell must be done again.

    `stage` and `segment` name the cell.
    """

    def __init__(self, message: str, stage: str, segment: int) -> None:
        super().__init__(message)
        self.stage, self.segment = stage, segment

    def __reduce__(self) -> tuple[type, tuple[str, str, int]]:
        return type(self), (str(self), self.stage, self.segment)


class VersionError(FootAnalyticsError):
    """A plan froze other versions than this worker has; the job goes back for another."""


class StoppedError(FootAnalyticsError):
    """The worker was asked to stop; the job goes back as if it had not been taken."""


class LeaseError(FootAnalyticsError):
    """A cell's lease has passed to another worker; the late result is refused."""


class TransitionError(FootAnalyticsError):
    """The pipeline's state does not allow what was asked of it."""


class StageError(FootAnalyticsError):
    """A stage failed on a cell."""
