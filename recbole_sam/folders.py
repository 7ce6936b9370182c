"""Folders that appear whole or not at all."""

import contextlib
import glob
import os
import shutil

_OLD = ".replaced"
_PARTIAL = ".partial"


@contextlib.contextmanager
def replacing(folder, check, refused=lambda error: error, carry_over=lambda old, new: None):
    """Gives an empty folder to fill, and puts it in the place of ``folder`` when all went well.

    Whatever goes wrong before, ``folder`` is as it was and the half-filled folder is gone. Should the machine
    die between the two renames, the next call puts the old one back; what a killed process left half-filled,
    the next call removes.

    Args:
        folder (pathlib.Path): what is to be there in the end.
        check (callable): given that path once what a dead process left is put right; raises when the folder
            may not be replaced.
        refused (callable): makes of an OSError the error to raise; by default itself.
        carry_over (callable): given the old and the new folder, copies what is to stay.

    Yields:
        pathlib.Path: a new folder beside it.
    """
    folder = folder.resolve()  # a link to a folder elsewhere keeps pointing there
    old = folder.with_name(f".{folder.name}{_OLD}")
    new = folder.with_name(f".{folder.name}.{os.getpid()}{_PARTIAL}")
    try:
        if old.exists():
            _recover(folder, old)
        check(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        new.mkdir()
    except OSError as error:
        raise refused(error) from error
    try:
        yield new
        if folder.exists():
            carry_over(folder, new)
            os.rename(folder, old)
            try:
                os.rename(new, folder)
            except BaseException:
                os.rename(old, folder)
                raise
            shutil.rmtree(old)
        else:
            os.rename(new, folder)
    except OSError as error:
        raise refused(error) from error
    finally:
        if new.exists():
            shutil.rmtree(new)


def _recover(folder, old):
    if folder.exists():
        shutil.rmtree(old)
    else:
        os.rename(old, folder)


def _sweep(folder):
    """Removes what a killed process left half-filled beside ``folder``."""
    for path in folder.parent.glob(f".{glob.escape(folder.name)}.*{_PARTIAL}"):
        maker = path.name.removesuffix(_PARTIAL).rpartition(".")[2]
        if maker.isdigit() and not _runs(int(maker)):
            shutil.rmtree(path)


def _runs(process):
    if process == os.getpid():
        return False  # an earlier process had our number
    if os.name != "posix":
        return True  # there, asking would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs, for somebody else
    return True
