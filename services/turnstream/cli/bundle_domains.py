"""The domains by which recorded conversations are folded: each version's own, where its bundle is still there."""

import json
import sys
from pathlib import Path

from turnstream.assistant.bundle import MANIFEST, BundleError, find_bundle, open_bundle
from turnstream.assistant.domain import Domain
from turnstream.cli.errors import CommandError


class BundleDomains:
    """Of one bundle, or of a folder of them. `missing` are the versions that had to take the newest one's domain."""

    def __init__(self, bundles: Path) -> None:
        """Raises CommandError where there is no bundle."""
        # Custom slot types are named by module path from the project's folder.
        if str(Path().resolve()) not in sys.path:
            sys.path.insert(0, str(Path().resolve()))
        try:
            self._newest = open_bundle(find_bundle(bundles))
        except BundleError as error:
            raise CommandError(f"{error} Replay needs a domain: name a bundle, or a folder, with --bundles.") from error
        self._places = _versions(bundles)
        self._domains: dict[str, Domain] = {self._newest.version: self._newest.domain}
        self.missing: set[str] = set()

    def __call__(self, version: str) -> Domain:
        """Raises CommandError where the version's bundle is damaged."""
        if version not in self._domains:
            self._domains[version] = self._read(version)
        return self._domains[version]

    def _read(self, version: str) -> Domain:
        place = self._places.get(version)
        if place is None:
            if version:
                self.missing.add(version)
            return self._newest.domain
        try:
            return open_bundle(place).domain
        except BundleError as error:
            raise CommandError(str(error)) from error


def _versions(bundles: Path) -> dict[str, Path]:
    """Where each version is; bundles that cannot be read are none until they are asked for by path."""
    found = {}
    for manifest in sorted(bundles.glob(f"*/{MANIFEST}")):
        try:
            found[str(json.loads(manifest.read_bytes())["version"])] = manifest.parent
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found
