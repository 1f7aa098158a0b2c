"""Build the images and test the chart on Kubernetes: `make test-cluster`.

On the cluster of $KUBECONFIG, whose nodes must have the images and see the folder $TURNSTREAM_TEST_BUNDLES; otherwise
on a node that is started on this machine, as root, by the tools beside the repository. Says in one line where that
cannot be.
"""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from container_tests import CANNOT_BUILD, CannotTest, docker_engine

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT.parent / "shared" / "tools" / "cluster"
TAG = os.environ.get("TURNSTREAM_TEST_TAG", "tests")
IMAGES = ("service", "trainer", "kafka")


def main() -> int:
    argparse.ArgumentParser(description=__doc__).parse_args()
    try:
        if os.environ.get("KUBECONFIG"):
            return run_tests()
        require_node_tools()
        with docker_engine():
            built = subprocess.run([sys.executable, "scripts/images.py", "--tag", TAG, *IMAGES], cwd=ROOT, check=False)
            if built.returncode == CANNOT_BUILD:
                raise CannotTest("no images can be built on this machine, for the reason above.")
            return built.returncode or run_tests()
    except CannotTest as reason:
        print(f"The chart was not tested on Kubernetes: {reason}")
        return 0


def require_node_tools() -> None:
    """Raises CannotTest where no node can be started here."""
    if not (TOOLS / "up.sh").is_file():
        raise CannotTest(f"KUBECONFIG is not set, and {TOOLS} has no tools to start a node with.")
    if os.geteuid() != 0:
        raise CannotTest("KUBECONFIG is not set, and a node can be started by root only.")
    if shutil.which("go") is None:
        raise CannotTest("KUBECONFIG is not set, and there is no Go to build a node with.")


def run_tests() -> int:
    """The exit code of the tests."""
    environment = os.environ | {"TURNSTREAM_TEST_TAG": TAG}
    command = [sys.executable, "-m", "pytest", "tests/cluster", "--cluster", "-s"]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
