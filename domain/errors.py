"""The error tree. Each message is one line that says what is wrong and what to do about it.

The command line turns an error into one line on stderr and the exit code beside its class.
"""


class FootAnalyticsError(Exception):
    """Anything that this product reports on purpose."""

    exit_code = 1


class InputError(FootAnalyticsError):
    """The user gave something that cannot be processed: a path, a video, an option."""

    exit_code = 2


class ConfigurationError(InputError):
    """An option is unknown or out of its legal range."""


class PlanError(InputError):
    """The chosen stages cannot run together: something that one requires, nothing produces."""


class TableError(FootAnalyticsError):
    """A table or an array does not have the promised columns, types or ranges."""


class ResourceError(FootAnalyticsError):
    """The machine lacks something: disk, memory, a permission."""


class ArtifactError(FootAnalyticsError):
    """An artifact is missing or its bytes are not the ones its name promises."""


class LeaseError(FootAnalyticsError):
    """A cell's lease has passed to another worker; the late result is refused."""


class TransitionError(FootAnalyticsError):
    """The pipeline's state does not allow what was asked of it."""


class StageError(FootAnalyticsError):
    """A stage failed on a cell."""
