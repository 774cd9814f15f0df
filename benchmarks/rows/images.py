"""Rows of pooling, resampling and windows."""

from benchmarks.rows.layers import both, of_input

IMAGE = (16, 32, 56, 56)


def _image(name, call, shape=IMAGE):
    both(name, 1, 1, of_input(shape, lambda t, x: (lambda: call(t.nn.functional, x), [])))


def _channels_last(name, call):
    def make(torch):
        x = torch.randn(*IMAGE).to(memory_format=torch.channels_last)
        return lambda: call(torch.nn.functional, x), [x]

    both(f"{name} channels_last", 1, 1, make)


_image("pool max 2x2", lambda f, x: f.max_pool2d(x, 2))
_image("pool max 3x3 stride 2 pad 1", lambda f, x: f.max_pool2d(x, 3, 2, 1))
_image("pool avg 2x2", lambda f, x: f.avg_pool2d(x, 2))
_image("pool avg 3x3 stride 2 pad 1", lambda f, x: f.avg_pool2d(x, 3, 2, 1))
_channels_last("pool max 3x3 stride 2 pad 1", lambda f, x: f.max_pool2d(x, 3, 2, 1))
_channels_last("pool avg 3x3 stride 2 pad 1", lambda f, x: f.avg_pool2d(x, 3, 2, 1))
_image("pool adaptive avg 7", lambda f, x: f.adaptive_avg_pool2d(x, 7))
_image("pool adaptive avg 1", lambda f, x: f.adaptive_avg_pool2d(x, 1))
_image("pool adaptive max 7", lambda f, x: f.adaptive_max_pool2d(x, 7))
_image("pool lp 2x2", lambda f, x: f.lp_pool2d(x, 2, 2))
_image("interpolate nearest x2", lambda f, x: f.interpolate(x, scale_factor=2))
_image("interpolate bilinear x2", lambda f, x: f.interpolate(x, scale_factor=2, mode="bilinear"))
_image("interpolate bicubic x2", lambda f, x: f.interpolate(x, scale_factor=2, mode="bicubic"))
_image("interpolate bilinear antialias /2", lambda f, x: f.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True))
_image("interpolate area /2", lambda f, x: f.interpolate(x, scale_factor=0.5, mode="area"))
_image("interpolate linear x2 (16, 32, 3136)", lambda f, x: f.interpolate(x, scale_factor=2, mode="linear"), (16, 32, 3136))
_image("pixel_shuffle 2", lambda f, x: f.pixel_shuffle(x, 2))
_image("unfold 3x3", lambda f, x: f.unfold(x, 3, padding=1))
_image("fold 3x3", lambda f, x: f.fold(x, (56, 56), 3, padding=1), (16, 8 * 9, 56 * 56))


def _grid(t, x):
    grid = t.rand(16, 56, 56, 2) * 2 - 1
    return lambda: t.nn.functional.grid_sample(x, grid, align_corners=False), [grid]


both("grid_sample bilinear", 1, 1, of_input(IMAGE, _grid))
