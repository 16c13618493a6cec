"""examples/benchmarks/soak.py, shortly."""

import os
import subprocess
import sys

import pytest

from tests.examples.conftest import ROOT


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_nothing_grows():
    script = ROOT / "examples" / "benchmarks" / "soak.py"
    command = [sys.executable, script, "--fits", "150", "--predictions", "6000"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("|") == 8 * 4
