"""How this copy was built."""


def show():
    """One text: version, machine, vector instructions."""
    import platform

    from .backends.cpu import get_cpu_capability
    from .version import __version__

    return (
        f"rushlight built with:\n  - version {__version__}\n  - {platform.python_implementation()} {platform.python_version()}\n"
        f"  - CPU capability usage: {get_cpu_capability()}\n  - kernels: compiled on this machine when first used\n"
    )


def parallel_info():
    """The number of threads."""
    from ._core.threads import get_num_threads

    return f"rushlight parallel info:\n\tget_num_threads() : {get_num_threads()}\n"
