"""The type stubs say what the registry says."""

import ast
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def test_stubs_are_up_to_date():
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "stubs.py"), "--check"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_in_them():
    names = set()
    for node in ast.parse(open(os.path.join(ROOT, "rushlight", "__init__.pyi")).read()).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            names.add(node.target.id)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    program = "import rushlight; print(*[n for n in dir(rushlight) if not n.startswith('_')])"   # what nothing has imported on the way
    fresh = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    public = set(fresh.stdout.split()) - {"ops", "lang", "torch"}
    assert len(public) > 500 and not public - names, sorted(public - names)
