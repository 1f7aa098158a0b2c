"""Copying a bundle into a folder of bundles: checked first, in its place at once."""

import lzma
import shutil
import tarfile
import tempfile
import urllib.request
import zlib
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

from turnstream.assistant.bundle import Bundle, BundleError, find_bundle, open_bundle, read_manifest

DOWNLOAD_TIMEOUT_S = 60.0
"""Of silence, not of the whole."""
_SCHEMES = ("http://", "https://")


@dataclass(frozen=True, slots=True)
class Installed:
    """`is_new` is False where the version was there already."""

    version: str
    path: Path
    is_new: bool


def install_bundle(source: str, bundles: Path) -> Installed:
    """The bundle at `source`, copied into the folder `bundles` under its version. Raises BundleError, OSError."""
    bundles.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".install-", dir=bundles) as folder:
        scratch = Path(folder)
        found = _local(source, scratch)
        place = bundles / found.version
        if place.exists():
            _require_same(found, place)
            return Installed(found.version, place, False)
        copy = scratch / "copy"
        shutil.copytree(found.root, copy)
        open_bundle(copy)
        copy.rename(place)
        return Installed(found.version, place, True)


def _require_same(found: Bundle, place: Path) -> None:
    if read_manifest(place) != found.manifest:
        raise BundleError(f"{place}: another bundle of the same version is there. Remove one of them.")


def _local(source: str, scratch: Path) -> Bundle:
    """The bundle on this disk, opened and checked."""
    path = Path(source)
    if source.startswith(_SCHEMES):
        path = scratch / "bundle.tar.gz"
        _download(source, path)
    if path.is_file():
        path = unpacked(path, scratch / "unpacked")
    return open_bundle(find_bundle(path))


def _download(address: str, place: Path) -> None:
    try:
        with urllib.request.urlopen(address, timeout=DOWNLOAD_TIMEOUT_S) as answer, place.open("wb") as file:
            shutil.copyfileobj(answer, file)
    except HTTPError as error:
        error.close()
        raise BundleError(f"{address}: cannot be fetched: {error}") from error
    except (OSError, ValueError) as error:
        raise BundleError(f"{address}: cannot be fetched: {error}") from error


def unpacked(archive: Path, folder: Path) -> Path:
    """The folder with the bundle in it; an archive may hold the bundle's files or its folder. Raises BundleError."""
    try:
        with tarfile.open(archive) as files:
            files.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        what = "a folder that 'turnstream train' wrote, or a .tar.gz of one"
        raise BundleError(f"{archive}: no archive of a bundle; give {what}.") from error
    return folder
