"""Random programs over streams of several GPUs, with the waits that PyTorch asks for, compared with the same on the CPU.

Run by ``pytest --device cuda tests/cuda``. RUSHLIGHT_STANDIN_SCHEDULE has the stand-in's streams get on at random.
"""

import random

import pytest

import rushlight as torch

pytestmark = [
    pytest.mark.skipif("not config.getoption('--device') == 'cuda'", reason="needs --device cuda"),
    pytest.mark.skipif("__import__('rushlight').cuda.device_count() < 2", reason="needs two GPUs"),
]


class Variable:
    """A tensor on a GPU, the same on the CPU, and the streams: where it was made, where it was written and read last."""

    def __init__(self, there, here, stream):
        self.there, self.here, self.made, self.written, self.read = there, here, stream, stream, set()

    @property
    def index(self):
        return self.there.device.index


class Program:
    """Each method is a kind of step; elements are whole numbers below 97, which float32 holds exactly."""

    def __init__(self, seed, gpus):
        self.draw, self.numbers = random.Random(seed), torch.Generator("cpu").manual_seed(seed)
        self.streams = [[torch.cuda.default_stream(i), torch.cuda.Stream(i), torch.cuda.Stream(i)] for i in range(gpus)]
        self.current, self.variables = [s[0] for s in self.streams], []

    def run(self, steps):
        kinds = (self.make, self.unary, self.binary, self.write, self.move, self.copy, self.switch, self.look, self.derive)
        kinds += (self.drop, self.drop)
        for _ in range(4):
            self.make()
        for _ in range(steps):
            self.draw.choice(kinds)()
        for variable in self.variables:
            self.look(variable)

    def uses(self, variable, stream, write=False):
        """Has ``stream`` wait for what variable's other users do, as a program must; its tensors."""
        for other in {variable.written, *(variable.read if write else ())} - {stream}:
            if self.draw.random() < 0.5:
                stream.wait_stream(other)
            else:
                stream.wait_event(other.record_event())
        if write:
            variable.written, variable.read = stream, set()
        else:
            variable.read.add(stream)
        if stream != variable.made:
            variable.there.record_stream(stream)
        return variable.there, variable.here

    def add(self, function, stream, *variables):
        """A new variable, computed on the stream from others."""
        pairs = [self.uses(v, stream) for v in variables]
        self.variables.append(Variable(function(*(there for there, _ in pairs)), function(*(here for _, here in pairs)), stream))

    def two(self, of_one_gpu=True):
        """Two variables of one shape, or twice the same."""
        a = self.draw.choice(self.variables)
        alike = [v for v in self.variables if v.here.shape == a.here.shape and (v.index == a.index or not of_one_gpu)]
        return a, self.draw.choice(alike)

    def make(self):
        index = self.draw.randrange(len(self.streams))
        here = torch.randint(0, 97, (self.draw.choice((5, 300, 5000)),), generator=self.numbers, device="cpu").float()
        if self.draw.random() < 0.5:
            there = here.pin_memory().to(f"cuda:{index}", non_blocking=True)
        else:
            there = torch.zeros_like(here, device=f"cuda:{index}").copy_(here)
        self.variables.append(Variable(there, here, self.current[index]))

    def unary(self):
        a, _ = self.two()
        function = self.draw.choice((
            lambda x: x.sort().values, lambda x: x.flip(0), lambda x: torch.cat([x[3:], x[:3]]), lambda x: (x - x.max()) % 97,
            lambda x: x[x.argsort(stable=True)], lambda x: x.masked_fill(x > 50, 3.0), lambda x: x.cumsum(0) % 97,
        ))  # fmt: skip
        self.add(function, self.current[a.index], a)

    def binary(self):
        a, b = self.two()
        function = self.draw.choice(
            (lambda x, y: (x + y) % 97, lambda x, y: torch.where(x > y, x, y), lambda x, y: (x * 2 - y.flip(0)) % 97)
        )
        self.add(function, self.current[a.index], a, b)

    def write(self):
        a, b = self.two()
        stream = self.current[a.index]
        for x, y in zip(self.uses(a, stream, write=True), self.uses(b, stream)):
            x.add_(y).remainder_(97)

    def move(self):
        a, index = self.draw.choice(self.variables), self.draw.randrange(len(self.streams))
        there, here = self.uses(a, self.current[a.index])
        moved = there.to(f"cuda:{index}", copy=True, non_blocking=self.draw.random() < 0.5)
        self.variables.append(Variable(moved, here.clone(), self.current[index]))

    def copy(self):
        source, target = self.two(of_one_gpu=False)
        step = self.draw.choice((1, 2))
        if source is not target:
            pairs = zip(self.uses(target, self.current[target.index], write=True), self.uses(source, self.current[source.index]))
            for x, y in pairs:
                x[::step].copy_(y[::step], non_blocking=True)

    def switch(self):
        index = self.draw.randrange(len(self.streams))
        self.current[index] = self.draw.choice(self.streams[index])
        torch.cuda.set_stream(self.current[index])
        torch.cuda.set_device(self.draw.randrange(len(self.streams)))

    def drop(self):
        if len(self.variables) > 3:
            del self.variables[self.draw.randrange(len(self.variables))]
        if self.draw.random() < 0.05:
            torch.cuda.empty_cache()

    def look(self, variable=None):
        variable = variable or self.draw.choice(self.variables)
        stream = self.current[variable.index]
        there, here = self.uses(variable, stream)
        found = there.to("cpu", non_blocking=self.draw.random() < 0.5)
        stream.synchronize()
        assert torch.equal(found, here)

    def derive(self):
        """A loss of tensors of several GPUs; the pass orders its streams itself."""
        pairs = [self.uses(v, self.current[v.index]) for v in self.draw.choices(self.variables, k=3)]
        n, target, kinds = min(len(here) for _, here in pairs), self.draw.randrange(len(self.streams)), self.draw.choices((1, 2, 3), k=3)
        found = []
        for side, device in ((0, f"cuda:{target}"), (1, "cpu")):
            leaves = [p[side].detach().requires_grad_() for p in pairs]
            parts = [(x[:n] ** k).flip(0).to(device, non_blocking=True) for x, k in zip(leaves, kinds)]
            (parts[0] * 2 + parts[1] * parts[2] % 97).sum().backward()
            found.append([x.grad.cpu() for x in leaves])
        assert all(map(torch.equal, *found))


@pytest.mark.parametrize("seed", range(20))
def test_random_programs_are_the_cpu_s(seed):
    try:
        Program(seed, torch.cuda.device_count()).run(80)
    finally:
        for index in range(torch.cuda.device_count()):
            torch.cuda.set_stream(torch.cuda.default_stream(index))
            torch.cuda.synchronize(index)
        torch.cuda.set_device(0)
