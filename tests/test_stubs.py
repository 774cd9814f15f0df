"""The type stubs say what the registry says."""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def test_stubs_are_up_to_date():
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "stubs.py"), "--check"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
