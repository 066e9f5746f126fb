"""The exception for a user's mistake: the command line prints it and exits with status 2."""

import errno

_NO_MEMORY = (
    "can't allocate memory",  # torch's allocator on the CPU, in a RuntimeError
    "Cannot allocate memory",
    "out of memory",  # CUDA's
    "failed to map segment",  # the loader of a library, in an ImportError
    "can't start new thread",  # no room for its stack
    "bad_alloc",
)


class UserError(ValueError):
    """A mistake that the user can correct.

    The message says what is wrong, where (file, row or key) and what to do about it.
    Anything else that escapes, but for a lack of memory, is a defect of ours and keeps its
    traceback.
    """


class SettingError(UserError):
    """A setting of a recipe that does not fit what it names, such as a model.

    The message begins with the setting; whoever knows the recipe's file adds that (`prefixed`).
    """


def prefixed(error: UserError, place: str) -> UserError:
    """Return the error with the place before its message; a SettingError stays one."""
    kind = SettingError if isinstance(error, SettingError) else UserError
    return kind(f"{place}: {error}")


def install_extra(extra: str) -> str:
    """Return the command that installs one of pyproject.toml's extras, for an error's remedy."""
    return f"pip install -e '.[{extra}]' in r1's checkout"


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that the machine, or a limit set for this process, has no memory left.

    Libraries have no common class for it.
    """
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    told = isinstance(error, RuntimeError | ImportError)
    return told and any(words in str(error) for words in _NO_MEMORY)
