"""managed_file: what stays as it was when a file is replaced, as a careful editor would leave it."""

from __future__ import annotations

import os
import stat
import struct
import subprocess

import pytest
from helpers.files import alone
from helpers.forks import forks, in_child

from safemem.resources.files import managed_file

posix = pytest.mark.skipif(os.name != "posix", reason="about what POSIX systems keep of a file")
xattrs = pytest.mark.skipif(not hasattr(os, "setxattr"), reason="this system has no extended attributes")
root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away, and mounts")

NOBODY = 65534


@posix
def test_permissions_are_kept(target, how):
    """The new file has the old one's mode; a new one has what the umask leaves."""
    target.chmod(0o640)
    with managed_file(target, "w"):
        pass
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    before = os.umask(0o027)
    try:
        with managed_file(target.parent / "fresh", "w"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((target.parent / "fresh").stat().st_mode) == 0o640


@root
def test_owner_is_kept(target, how):
    """The new file belongs to whom the old one belonged, set-user-id bit included."""
    os.chown(target, 12345, 23456)
    target.chmod(0o4755)
    with managed_file(target, "w"):
        pass
    found = target.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12345, 23456, 0o4755)


@xattrs
def test_extended_attributes_are_kept(target, how):
    """What is noted about a file stays with its name."""
    try:
        os.setxattr(target, "user.note", b"mine")
    except OSError as error:
        pytest.skip(f"not on this file system: {error}")
    with managed_file(target, "w"):
        pass
    assert os.getxattr(target, "user.note") == b"mine"


@posix
def test_links_are_followed(target, how):
    """A symbolic link stays one, and what it leads to is replaced; one that leads nowhere gets its target."""
    (target.parent / "deep").mkdir()
    link, dangling = target.parent / "deep" / "link", target.parent / "dangling"
    link.symlink_to("../target")
    dangling.symlink_to("deep/new")
    for path, real in ((link, target), (dangling, target.parent / "deep" / "new")):
        with managed_file(path, "w") as file:
            file.write("new")
        assert path.is_symlink()
        assert real.read_text() == "new"
    dangling.unlink()
    dangling.symlink_to("dangling")
    with pytest.raises(OSError, match="symbolic links"):
        managed_file(dangling, "w")


@posix
def test_exclusive_takes_a_link_for_a_file(tmp_path):
    """As with open(), a link that leads nowhere is something that exists."""
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        managed_file(tmp_path / "link", "x")


@posix
def test_what_is_no_regular_file(tmp_path):
    """A device or a pipe is opened plainly; asked to replace it, or a directory, there is an error."""
    with managed_file("/dev/null", "w") as file:
        file.write("gone")
        assert not file.atomic
    with pytest.raises(OSError, match="no regular file"):
        managed_file("/dev/null", "w", atomic=True)
    with pytest.raises(IsADirectoryError):
        managed_file(tmp_path, "w")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@posix
def test_hard_links_part(target, how):
    """Another name of the same file keeps the old content, as the new file is a new file; so do those who have it open or mapped."""
    os.link(target, target.parent / "other")
    with open(target) as before:
        with managed_file(target, "w") as file:
            file.write("new")
        assert before.read() == "old"
    assert (target.parent / "other").read_text() == "old"
    assert target.read_text() == "new"
    assert target.stat().st_nlink == 1


@root
@forks
def test_owner_that_cannot_be_kept(tmp_path, how):
    """Who may write a file of another's and not give it away owns the new one: no set-user-id bit, and its group may do what all may."""
    tmp_path.chmod(0o777)
    target = tmp_path / "target"
    target.write_text("old")
    target.chmod(0o6666)
    tight = tmp_path / "tight"
    tight.write_text("old")
    tight.chmod(0o2662)

    def child():
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        for path in (target, tight):
            with managed_file(path, "w") as file:
                file.write("new")

    for parent in tmp_path.parents:  # pytest's directories are for this user alone
        if parent.stat().st_uid == os.geteuid() and parent != parent.parent and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o011)
    assert in_child(child) == 0
    for path, mode in ((target, 0o666), (tight, 0o622)):
        found = path.stat()
        assert (path.read_text(), found.st_uid, found.st_gid, oct(stat.S_IMODE(found.st_mode))) == ("new", NOBODY, NOBODY, oct(mode))


def access_list(*entries: tuple[int, int, int]) -> bytes:
    """An access control list as the kernel has it: kind, permissions, and whom they are for."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NO_ONE = 0xFFFFFFFF
SHARED = access_list((1, 6, NO_ONE), (2, 6, NOBODY), (4, 4, NO_ONE), (0x10, 6, NO_ONE), (0x20, 0, NO_ONE))


@xattrs
@pytest.mark.parametrize("had", [True, False])
def test_access_control_list(target, how, had):
    """The new file has the old one's list and no other: not the one that its directory gives to new files."""
    target.chmod(0o660)
    try:
        os.setxattr(
            target.parent, "system.posix_acl_default", access_list((1, 7, NO_ONE), (4, 7, NO_ONE), (0x20, 7, NO_ONE)) if had else SHARED
        )
        if had:
            os.setxattr(target, "system.posix_acl_access", SHARED)
    except OSError as error:
        pytest.skip(f"not on this file system: {error}")
    with managed_file(target, "w"):
        pass
    assert ("system.posix_acl_access" in os.listxattr(target)) == had
    assert not had or os.getxattr(target, "system.posix_acl_access") == SHARED
    assert stat.S_IMODE(target.stat().st_mode) == 0o660


@posix
def test_unreadable_and_unwritable(target, how):
    """A file that nobody may read can be replaced by who may write it, and keeps that; one that may not be written is refused at once."""
    target.chmod(0o200)
    with managed_file(target, "w") as file:
        file.write("new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o200
    target.chmod(0o444)
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            managed_file(target, "w")
    assert alone(target)


@posix
def test_pipe_and_socket(tmp_path):
    """They are opened plainly, and stay what they are."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    with managed_file(pipe, "w") as file:
        file.write("through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(OSError, match="no regular file"):
        managed_file(pipe, "w", atomic=True)
    assert alone(pipe)


@root
def test_file_that_is_a_mount(tmp_path, how):
    """One that is mounted on its own cannot be replaced by anybody: that is the error, and it is as it was; atomic=False writes it."""
    source, target = tmp_path / "source", tmp_path / "there" / "target"
    target.parent.mkdir()
    source.write_text("old")
    target.touch()
    if subprocess.run(["mount", "--bind", source, target], capture_output=True, check=False).returncode:
        pytest.skip("nothing may be mounted here")
    try:
        with pytest.raises(OSError, match="busy"), managed_file(target, "w") as file:
            file.write("new")
        assert target.read_text() == "old"
        assert alone(target)
        with managed_file(target, "w", atomic=False) as file:
            file.write("new")
        assert source.read_text() == "new"
    finally:
        subprocess.run(["umount", target], check=True)
