# Random variates: each function takes the engine and up to two parameters. Included by random.pyx.

cdef double TWO_PI = 6.283185307179586476925286766559
cdef double INVERSE_53 = 1.0 / 9007199254740992.0
cdef float INVERSE_24 = 1.0 / 16777216.0


cdef inline double unit53(Engine *e) noexcept nogil:
    """A double in [0, 1)."""
    return <double>(draw64(e) & 0x1FFFFFFFFFFFFFu) * INVERSE_53


cdef inline float unit24(Engine *e) noexcept nogil:
    """A float in [0, 1)."""
    return <float>(draw32(e) & 0xFFFFFFu) * INVERSE_24


# -- functions of one double uniform --

ctypedef double (*Transform)(double u, double a, double b) noexcept nogil


cdef double exponential(double u, double rate, double _) noexcept nogil:
    return -1.0 / rate * log1p(-u)


cdef double cauchy(double u, double median, double sigma) noexcept nogil:
    return fma(sigma, tan(TWO_PI / 2 * (u - 0.5)), median)


cdef double geometric(double u, double p, double _) noexcept nogil:
    return ceil(log(u) / log1p(-p))


# -- samplers: each draws what it needs --

ctypedef double (*Sampler)(Engine *e, double a, double b) noexcept nogil


cdef double uniform_f64(Engine *e, double low, double high) noexcept nogil:
    return fma(unit53(e), high - low, low)


cdef double uniform_f32(Engine *e, double low, double high) noexcept nogil:
    return fmaf(unit24(e), <float>high - <float>low, <float>low)


cdef double uniform_f16(Engine *e, double low, double high) noexcept nogil:
    cdef float x = half_value(half_bits(<float>uniform_f32(e, low, high)))
    return low if x == half_value(half_bits(<float>high)) else x  # rounding up must not leave [low, high)


cdef double uniform_bf16(Engine *e, double low, double high) noexcept nogil:
    cdef float x = bfloat_value(bfloat_bits(<float>uniform_f32(e, low, high)))
    return low if x == bfloat_value(bfloat_bits(<float>high)) else x


cdef double normal(Engine *e, double mean, double std) noexcept nogil:
    """Box and Muller's method with the second value of each pair kept for the next call."""
    cdef double angle, radius
    if e.has_normal:
        e.has_normal = False
        return fma(e.normal, std, mean)
    angle = TWO_PI * unit53(e)
    radius = sqrt(-2.0 * log1p(-unit53(e)))
    e.normal = radius * sin(angle)
    e.has_normal = True
    return fma(radius * cos(angle), std, mean)


cdef double log_normal(Engine *e, double mean, double std) noexcept nogil:
    return exp(normal(e, mean, std))


cdef double bernoulli(Engine *e, double p, double _) noexcept nogil:
    return unit53(e) < p


cdef double bernoulli_f32(Engine *e, double p, double _) noexcept nogil:
    return unit24(e) < p


cdef double poisson(Engine *e, double rate, double _) noexcept nogil:
    """Products of uniforms for small rates; else Hoermann's transformed rejection PTRS (Insurance: Math. and Economics 12, 1993)."""
    cdef double root, a, b, inverse_alpha, v_r, u, v, us, k, product
    if rate >= 10:
        root = sqrt(rate)
        b = 0.931 + 2.53 * root
        a = -0.059 + 0.02483 * b
        inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
        v_r = 0.9277 - 3.6224 / (b - 2)
        while True:
            u = unit53(e) - 0.5
            v = unit53(e)
            us = 0.5 - fabs(u)
            k = floor((2 * a / us + b) * u + rate + 0.43)
            if us >= 0.07 and v <= v_r:
                return k
            if k < 0 or (us < 0.013 and v > us):
                continue
            if log(v) + log(inverse_alpha) - log(a / (us * us) + b) <= -rate + k * log(rate) - lgamma(k + 1):
                return k
    if rate == 0:
        return 0
    k = 0
    product = unit53(e)
    while product > exp(-rate):
        k += 1
        product *= unit53(e)
    return k


cdef double stirling_tail(double k) noexcept nogil:
    """log(k!) less Stirling's approximation of it: exact to 9, then the series in 1 / (k + 1)."""
    cdef double x = k + 1
    if k <= 9:
        return lgamma(x) - (0.91893853320467274178 + (k + 0.5) * log(x) - x)
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / (x * x)) / (x * x)) / x


cdef double binomial_by_gaps(Engine *e, double count, double p) noexcept nogil:
    """Counts the geometric gaps between successes that fit into ``count`` trials."""
    cdef double reached = 0, successes = 0
    while True:
        reached += ceil(log(unit53(e)) / log1p(-p))
        if reached > count:
            return successes
        successes += 1


cdef double binomial_by_rejection(Engine *e, double count, double p) noexcept nogil:
    """Hoermann's transformed rejection BTRS (J. Statist. Comput. Simul. 46, 1993) for p <= 0.5 and count * p >= 10."""
    cdef double deviation = sqrt(count * p * (1 - p))
    cdef double b = 1.15 + 2.53 * deviation
    cdef double a = -0.0873 + 0.0248 * b + 0.01 * p
    cdef double centre = count * p + 0.5
    cdef double v_r = 0.92 - 4.2 / b
    cdef double odds = p / (1 - p)
    cdef double alpha = (2.83 + 5.1 / b) * deviation
    cdef double mode = floor((count + 1) * p)
    cdef double u, v, us, k, bound
    while True:
        u = unit53(e) - 0.5
        v = unit53(e)
        us = 0.5 - fabs(u)
        k = floor((2 * a / us + b) * u + centre)
        if us >= 0.07 and v <= v_r:
            return k
        if k < 0 or k > count:
            continue
        v = log(v * alpha / (a / (us * us) + b))
        bound = (
            (mode + 0.5) * log((mode + 1) / (odds * (count - mode + 1)))
            + (count + 1) * log((count - mode + 1) / (count - k + 1))
            + (k + 0.5) * log(odds * (count - k + 1) / (k + 1))
            + stirling_tail(mode) + stirling_tail(count - mode) - stirling_tail(k) - stirling_tail(count - k)
        )
        if v <= bound:
            return k


cdef double binomial(Engine *e, double count, double p) noexcept nogil:
    if count <= 0 or p <= 0:
        return 0
    if p >= 1:
        return count
    if p > 0.5:
        return count - binomial(e, count, 1 - p)
    if p != p or count != count:
        return NAN
    return binomial_by_rejection(e, count, p) if count * p >= 10 else binomial_by_gaps(e, count, p)


cdef float THIRD = 1.0 / 3
cdef float SQUEEZE = 0.0331


cdef double gamma_f64(Engine *e, double alpha, double _) noexcept nogil:
    """Marsaglia and Tsang's method (ACM TOMS 26, 2000), raised by one where alpha < 1. PyTorch's constants are float32 numbers."""
    cdef double scale = 1
    if alpha == 0:
        return DBL_MIN
    if alpha < 1:
        scale = pow(1 - unit53(e), 1 / alpha)
        alpha += 1
    return at_least(gamma_above_one(e, alpha - THIRD, scale), DBL_MIN)


cdef double gamma_f32(Engine *e, double alpha, double _) noexcept nogil:
    """The same with the arithmetic on alpha in float32."""
    cdef double scale = 1
    if alpha == 0:
        return FLT_MIN
    if alpha < 1:
        scale = pow(1 - unit53(e), <float>(1 / alpha))
        alpha = <float>(alpha + 1)
    return at_least(gamma_above_one(e, <float>(alpha - THIRD), scale), FLT_MIN)


cdef inline double at_least(double x, double low) noexcept nogil:
    return low if x < low else x  # NaN stays


cdef double gamma_above_one(Engine *e, double d, double scale) noexcept nogil:
    cdef double c = 1 / sqrt(9 * d), x, y, v, u
    if d != d:
        return NAN
    while True:
        y = 0
        while y <= 0:
            x = normal(e, 0, 1)
            y = 1 + c * x
        v = y * y * y
        u = 1 - unit53(e)
        if u < 1 - SQUEEZE * (x * x) * (x * x) or log(u) < 0.5 * (x * x) + d * (1 - v + log(v)):
            return scale * d * v


# -- the derivative of a gamma sample --

cdef double digamma(double x) noexcept nogil:
    """psi(x) for x > 0: the recurrence up to 10, then Stirling's series."""
    cdef double shift = 0, z
    while x < 10:
        shift -= 1 / x
        x += 1
    z = 1 / (x * x)
    return shift + log(x) - 0.5 / x - z * (1.0 / 12 - z * (1.0 / 120 - z * (1.0 / 252 - z * (1.0 / 240 - z * (1.0 / 132)))))


cdef double gamma_slope(double alpha, double x) noexcept nogil:
    """d x / d alpha of a gamma variate x at a fixed quantile: minus (d P / d alpha) / (d P / d x), P the regularised incomplete gamma function.

    P is x**alpha exp(-x) / Gamma(alpha + 1) times the sum of x**k / ((alpha + 1) ... (alpha + k)); both derivatives follow term by term
    and the factors in front cancel (Figurnov, Mohamed and Mnih 2018 call this implicit reparameterisation). From alpha = 10**8 on, where the series has
    10**5 terms, by Wilson and Hilferty's normal approximation of cbrt(x / alpha).
    """
    cdef double term = 1, harmonic = 0, total = 1, weighted = 0, k = 0, root
    if not (x < INFINITY and alpha < INFINITY):
        return NAN
    if alpha >= 1e8:
        root = cbrt(x / alpha)
        return root * root * (root + 1 / (6 * alpha) - 1.5 * (root - 1))
    while term > total * 1e-17 or k < x - alpha:
        k += 1
        term *= x / (alpha + k)
        harmonic += 1 / (alpha + k)
        total += term
        weighted += term * harmonic
    return x / alpha * (weighted - total * (log(x) - digamma(alpha + 1)))
