"""Trust in cached files: a file counts as one's own if nobody else may have changed it."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from functools import cache
from pathlib import Path


def is_own(path: Path) -> bool:
    """Returns whether a file or folder belongs to this user or to root, and no other user may write to it."""
    found = path.stat()
    if found.st_uid not in (os.geteuid(), 0) or found.st_mode & stat.S_IWOTH:
        return False
    return not found.st_mode & stat.S_IWGRP or _is_private(found.st_gid)


def is_own_folder(folder: Path) -> bool:
    """Returns whether a folder and every file in it are :func:`is_own`."""
    return is_own(folder) and all(map(is_own, folder.iterdir()))


@cache
def _is_private(group: int) -> bool:
    """Returns whether a group has the user's own name and no further member, as many systems make one for each user."""
    try:
        found, user = grp.getgrgid(group), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return found.gr_name == user.pw_name and set(found.gr_mem) <= {user.pw_name}
