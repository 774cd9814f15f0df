"""A line search for the strong Wolfe conditions (Nocedal and Wright, Numerical Optimization, algorithms 3.5 and 3.6)."""


def cubic_minimum(x1, f1, g1, x2, f2, g2, bounds=None):
    """The minimiser of the cubic through two points with their slopes, held within ``bounds`` (the points themselves)."""
    low, high = bounds if bounds is not None else (min(x1, x2), max(x1, x2))
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1 * d1 - g1 * g2
    if square < 0:
        return (low + high) / 2.0
    d2 = square**0.5
    if x1 <= x2:
        minimum = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        minimum = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(minimum, low), high)


class _Point:
    """A step with its loss, gradient and slope along the direction."""

    def __init__(self, step, loss, grad, slope):
        self.step, self.loss, self.grad, self.slope = step, loss, grad, slope


def strong_wolfe(at, step, direction, loss, grad, slope, c1=1e-4, c2=0.9, tolerance_change=1e-9, max_ls=25):
    """A step with enough decrease (c1) and a flat enough slope (c2): returns (loss, gradient, step, evaluations).

    at(step): loss and gradient there; loss, grad and slope: those at step 0.
    """
    largest = float(direction.abs().max())
    evaluations = 0

    def probe(step):
        nonlocal evaluations
        evaluations += 1
        value, gradient = at(step)
        return _Point(step, value, gradient, float(gradient.dot(direction)))

    start = _Point(0, loss, grad.clone(), slope)

    def too_high(point):
        return point.loss > loss + c1 * point.step * slope

    def flat(point):
        return abs(point.slope) <= -c2 * slope

    previous, point = start, probe(step)
    bracket, iteration, done = None, 0, False
    while iteration < max_ls:
        if too_high(point) or (iteration > 1 and point.loss >= previous.loss):
            bracket = [previous, point]
        elif flat(point):
            bracket, done = [point], True
        elif point.slope >= 0:
            bracket = [previous, point]
        if bracket:
            break
        bounds = (point.step + 0.01 * (point.step - previous.step), point.step * 10)
        step = cubic_minimum(
            previous.step, previous.loss, previous.slope, point.step, point.loss, point.slope, bounds
        )
        previous, point = point, probe(step)
        iteration += 1
    if bracket is None:
        bracket = [start, point]
    if not done:
        _zoom(bracket, probe, too_high, flat, largest, tolerance_change, iteration, max_ls)
    best = min(bracket, key=lambda p: p.loss) if len(bracket) == 2 else bracket[0]
    return best.loss, best.grad, best.step, evaluations


def _zoom(bracket, probe, too_high, flat, largest, tolerance_change, iteration, max_ls):
    """Shrinks ``bracket`` (two points around an acceptable one), in place."""
    crowded = False  # did the last trial fall next to an end?
    low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
    while iteration < max_ls:
        a, b = bracket
        if abs(b.step - a.step) * largest < tolerance_change:
            return
        step = cubic_minimum(a.step, a.loss, a.slope, b.step, b.loss, b.slope)
        left, right = min(a.step, b.step), max(a.step, b.step)
        margin = 0.1 * (right - left)
        if min(right - step, step - left) < margin:
            if crowded or step >= right or step <= left:
                step = right - margin if abs(step - right) < abs(step - left) else left + margin
                crowded = False
            else:
                crowded = True
        else:
            crowded = False
        point = probe(step)
        iteration += 1
        if too_high(point) or point.loss >= bracket[low].loss:
            bracket[high] = point
            low, high = (0, 1) if bracket[0].loss <= bracket[1].loss else (1, 0)
        else:
            if flat(point):
                bracket[low] = point
                bracket[:] = [point]
                return
            if point.slope * (bracket[high].step - bracket[low].step) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = point
