"""``pytest --device cuda``: the tests that compare with PyTorch make rushlight's tensors on a GPU, or on the stand-in where there is none.

A test marked ``cpu("why")`` is about the CPU and is left out there. ``--standin`` takes the stand-in even where there is a GPU; ``--order``
chooses in which order it runs a block's threads; ``--tight`` puts each tensor at the end of pages of its own.
"""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
# Processes that tests start find this rushlight, and what else this process found.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.path.dirname(HERE), os.environ.get("PYTHONPATH")]))


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", choices=("cpu", "cuda"), help="where rushlight's tensors are made")
    parser.addoption("--standin", action="store_true", help="the stand-in for a GPU, even where there is one")
    parser.addoption("--order", type=int, default=0, help="order of threads on the stand-in: 0 forward, 1 reverse, else a seed")
    parser.addoption("--tight", action="store_true", help="on the stand-in: an access behind a tensor's memory ends the process")


def pytest_configure(config):
    if config.getoption("--device") == "cpu":
        return
    import rushlight as rl

    sys.path.insert(0, os.path.join(HERE, "cuda"))
    import standin

    if config.getoption("--standin") or not standin.real_gpu():
        standin.activate(config.getoption("--order"), tight=config.getoption("--tight"))
    if not rl.cuda.is_available():
        rl.cuda.init()  # says why not
    rl.set_default_device("cuda")
    config.pluginmanager.register(Settled())


class Settled:
    """Each test answers for what the GPU found wrong in its data, which is told at the next synchronisation."""

    @pytest.fixture(autouse=True)
    def settled(self):
        import place

        yield
        place.settle()


def pytest_collection_modifyitems(config, items):
    if config.getoption("--device") == "cpu":
        return
    for item in items:
        mark = item.get_closest_marker("cpu")
        if mark:
            item.add_marker(pytest.mark.skip(reason=f"about the CPU: {mark.args[0]}"))
