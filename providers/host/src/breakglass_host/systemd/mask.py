"""Masks units by links to /dev/null in the highest folder of the search path, and takes only those away.

``/etc/systemd/system.control`` comes before every other folder (systemd.unit(5), "UNIT FILE LOAD PATH"), so
whatever lies elsewhere, and every enablement, stays as it is. Where /etc cannot be written to, the same below
/run holds until the next boot. A transient unit takes the link along when it ends: systemd removes "its" file
then (tried on 252), so who masks looks again after the end.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Mapping

from breakglass.canon import Json, Profile, canonical, parse
from breakglass.errors import Denied, MalformedInput
from breakglass.provider import Outcome
from breakglass_host import safepath, vault

LASTING = "/etc/systemd/system.control"
UNTIL_BOOT = "/run/systemd/system.control"
PLACES = (LASTING, UNTIL_BOOT)
_NULL = "/dev/null"
_MODE = 0o1755
"""Sticky: so that a folder which a stop made is known from one that was there, whichever step leaves last."""
_MARK = "trusted.breakglass.parent"
_ELSEWHERE = frozenset({errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM})


def links(name: str) -> dict[str, Json]:
    """Return what stands under a unit's name in each place: ``absent``, ``mask`` or ``other``."""
    return {place: _standing(place, name) for place in PLACES}


def folders() -> dict[str, Json]:
    """Return what is needed to leave the folders as they were: whether each is there, its time, its names."""
    found: dict[str, Json] = {}
    for path in (os.path.dirname(LASTING), *PLACES):  # noqa: PTH120 - kept as text, as it is recorded
        found[f"folder:{path}"] = _folder(path)
    return found


def put(names: Iterable[str]) -> str:
    """Make the links that are missing, durably; return why they end with the next boot, empty: they last.

    Raises:
        Denied: something else stands under a name, or neither place can be written to.
    """
    wanted = tuple(names)
    try:
        _put(LASTING, wanted)
    except OSError as error:
        if error.errno not in _ELSEWHERE:
            with safepath.refusals(LASTING):
                raise
        with safepath.refusals(UNTIL_BOOT):
            _put(UNTIL_BOOT, wanted)
        return f"{LASTING}: {error.strerror}"
    return ""


def take_away(name: str, before: Mapping[str, Json]) -> Outcome:
    """Remove our links to this unit: those that were not there before, and are masks now."""
    outcomes = []
    for place in PLACES:
        now = _standing(place, name)
        if before.get(place) != "absent" or now == "absent":
            outcomes.append(Outcome.ALREADY)
        elif now != "mask":
            outcomes.append(Outcome.DRIFTED)
        else:
            with safepath.refusals(f"{place}/{name}"), safepath.folder(place) as at:
                os.unlink(name, dir_fd=at)
                vault.sync(at)
            outcomes.append(Outcome.RESTORED)
    worst = (Outcome.DRIFTED, Outcome.RESTORED, Outcome.ALREADY)
    return next(one for one in worst if one in outcomes)


def drop(place: str, name: str) -> None:
    """Remove a mask, so that what stood there before can be put back; what is no mask stays."""
    with contextlib.suppress(FileNotFoundError), safepath.refusals(f"{place}/{name}"):
        if _standing(place, name) == "mask":
            with safepath.folder(place) as at:
                os.unlink(name, dir_fd=at)


def leave(before: Mapping[str, Json]) -> None:
    """Remove the folders that were not there before, if nothing is in them, and give the others their time.

    A folder gets its time back only while it holds the very names that it held.
    """
    for place in PLACES:
        parent, name = os.path.split(place)
        with contextlib.suppress(OSError), safepath.folder(parent) as at:
            marked = _marked(place)
            if os.stat(name, dir_fd=at, follow_symlinks=False).st_mode & stat.S_ISVTX:
                os.rmdir(name, dir_fd=at)
                _give_time_back(parent, marked)
    for path in (LASTING, os.path.dirname(LASTING)):  # noqa: PTH120 - kept as text, as it is recorded
        _give_time_back(path, before.get(f"folder:{path}"))


def lasts(unit: Mapping[str, Json]) -> bool:
    """Return whether a recorded unit is masked beyond the next boot."""
    return unit.get(LASTING) == "mask"


def cannot_last() -> str:
    """Say why masks can only be made until the next boot; empty: nothing speaks against it."""
    path = LASTING
    while not os.path.isdir(path):  # noqa: PTH112 - as text
        path = os.path.dirname(path)  # noqa: PTH120 - as text
    try:
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            return f"{path} is on a file system that is read-only"
    except OSError as error:
        return f"{path}: {error.strerror}"
    return ""


def _put(place: str, names: tuple[str, ...]) -> None:
    parent, own = os.path.split(place)
    with safepath.folder(parent) as above, contextlib.suppress(FileExistsError):
        was = canonical(_folder(parent))
        os.mkdir(own, _MODE, dir_fd=above)
        os.chmod(own, _MODE, dir_fd=above)
        with contextlib.suppress(OSError):
            os.setxattr(place, _MARK, was, follow_symlinks=False)
        vault.sync(above)
    with safepath.folder(place) as at:
        for name in names:
            if _standing(place, name) == "other":
                raise Denied("something else stands there", where=f"{place}/{name}")
            with contextlib.suppress(FileExistsError):
                os.symlink(_NULL, name, dir_fd=at)
        vault.sync(at)


def _standing(place: str, name: str) -> str:
    try:
        with safepath.folder(place) as at:
            about = os.stat(name, dir_fd=at, follow_symlinks=False)
            if stat.S_ISLNK(about.st_mode) and os.readlink(name, dir_fd=at) == _NULL:
                return "mask"
            # An empty file masks too (systemd.unit(5)); nobody made it for us.
            return "mask" if stat.S_ISREG(about.st_mode) and about.st_size == 0 else "other"
    except FileNotFoundError:
        return "absent"
    except OSError:
        with safepath.refusals(f"{place}/{name}"):
            raise


def _marked(place: str) -> Json:
    """Return what the folder above was like before this one was made; None: not known."""
    with contextlib.suppress(OSError, MalformedInput):
        data = os.getxattr(place, _MARK, follow_symlinks=False)
        return parse(data, where=place, profile=Profile.DATA, max_bytes=4096)
    return None


def _folder(path: str) -> Json:
    try:
        with safepath.folder(path) as at:
            about = os.fstat(at)
            return {"present": True, "mtime_ns": str(about.st_mtime_ns), "names": _names(at)}
    except FileNotFoundError:
        return {"present": False}
    except OSError as error:
        return {"present": None, "why": error.strerror or str(error)}


def _names(at: int) -> str:
    text = "\0".join(sorted(vault.names(at)))
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _give_time_back(path: str, was: Json) -> None:
    if not isinstance(was, Mapping) or was.get("present") is not True:
        return
    with contextlib.suppress(OSError), safepath.folder(path) as at:
        about = os.fstat(at)
        if str(about.st_mtime_ns) != was["mtime_ns"] and _names(at) == was["names"]:
            os.utime(f"/proc/self/fd/{at}", ns=(about.st_atime_ns, int(str(was["mtime_ns"]))))
