"""``python -m rushlight script.py [args]`` and ``python -m rushlight -m package [args]``: run a PyTorch program on rushlight.

``python -m rushlight --lint script.py`` also points out mistakes that raise no error (:mod:`rushlight.hints`).
``python -m rushlight doctor`` prints what was found on this machine.
"""

import os
import runpy
import sys

USAGE = """usage: python -m rushlight [--lint] script.py [args]     run a program in which `import torch` is rushlight
       python -m rushlight [--lint] -m package [args]    the same for a module; --lint: with hints about silent mistakes
       python -m rushlight doctor                        what was found here: CPU, threads, libraries, GPU"""


def _show(kind, error, trace):
    """The traceback of a program that failed, as plain Python prints it: from the program's first line on."""
    start = trace
    while start is not None and start.tb_frame.f_code.co_filename in (__file__, runpy.__file__, "<frozen runpy>"):
        start = start.tb_next
    sys.__excepthook__(kind, error.with_traceback(start or trace), start or trace)


def main(args):
    """Runs the program named by args."""
    if not args or args[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if args else 2
    if args[0] == "doctor":
        from .doctor import main as doctor

        return doctor()
    from ._alias import as_torch

    as_torch()
    sys.excepthook = _show
    if args[0] == "--lint":
        from .hints import lint

        with lint():
            return main(args[1:])
    if args[0] == "-m":
        if len(args) < 2:
            print(USAGE, file=sys.stderr)
            return 2
        sys.argv = args[1:]
        sys.path[0] = os.getcwd()
        runpy.run_module(args[1], run_name="__main__", alter_sys=True)
    else:
        if not os.path.exists(args[0]):
            print(f"python -m rushlight: there is no file {args[0]!r}\n{USAGE}", file=sys.stderr)
            return 2
        sys.argv = args
        sys.path[0] = os.path.dirname(os.path.abspath(args[0]))
        runpy.run_path(args[0], run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
