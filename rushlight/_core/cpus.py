"""What this machine is, as Linux tells: how many threads this process may use and how large its last cache is (read once at import from CPU
affinity, cgroup quota, the environment and /sys), and whose processor it is.

Containers limit CPU *time* by a quota and leave every CPU visible; a pool as large as the host then runs into the quota
and is stopped for most of each period. So the floor of the quota counts as much as the number of CPUs.
"""

import functools
import os


def default_threads(environ=os.environ, root="/"):
    """Size of the thread pool: RUSHLIGHT_NUM_THREADS, else OMP_NUM_THREADS, else what affinity and quota allow (>= 1).

    >>> default_threads({"RUSHLIGHT_NUM_THREADS": "3"})
    3
    """
    for name in ("RUSHLIGHT_NUM_THREADS", "OMP_NUM_THREADS"):
        value = environ.get(name, "").split(",")[0].strip()  # OMP_NUM_THREADS may be a list, one entry a nesting level
        if value.isdecimal() and int(value) > 0:
            return int(value)
    quota = cpu_quota(root)
    cpus = available_cpus()
    return cpus if quota is None else max(1, min(cpus, int(quota)))


def available_cpus():
    """Number of CPUs that this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_quota(root="/"):
    """CPUs' worth of time that the control groups grant this process, as a float; None without a limit.

    Every level from the process's group up to the mount may set a limit; the smallest holds. ``root`` is where
    /proc and the cgroup mounts are looked up (a test hands in a tree of its own).
    """
    groups = _groups(root)
    limits = []
    for mount, top, controllers in _mounts(root):
        group = groups.get("cpu" if controllers else "")
        if group is None:
            continue
        # Inside a container the mount shows only the subtree `top`; a path outside it is invisible, and the mount stands for it.
        relative = os.path.relpath(group, top) if group.startswith(top) else "."
        for folder in _upwards(root, mount, relative):
            limit = _limit_v1(folder) if controllers else _limit_v2(folder)
            if limit is not None:
                limits.append(limit)
    return min(limits, default=None)


def last_cache(root="/"):
    """Bytes of the largest cache that a core has or shares, as Linux tells; 32 MB where nothing is told."""
    units = {"K": 1 << 10, "M": 1 << 20}
    sizes = [_read(root, f"sys/devices/system/cpu/cpu0/cache/index{level}/size").strip() for level in range(4)]
    return max((int(s[:-1]) * units[s[-1]] for s in sizes if s[:-1].isdecimal() and s[-1] in units), default=32 << 20)


def processor(root="/"):
    """(maker, features) of the first CPU, a name and a set of names as in /proc/cpuinfo; ("", an empty set) where nothing is told."""
    facts = _first_cpu(root)
    return facts.get("vendor_id", ""), set(facts.get("flags", "").split())


def description(root="/"):
    """What the first CPU is, as a string that differs for those whose instructions do; None where nothing is told."""
    facts = _first_cpu(root)
    if "flags" not in facts:
        return None
    return "\n".join(facts.get(name, "") for name in ("vendor_id", "cpu family", "model", "model name", "stepping", "flags"))


def _first_cpu(root):
    first = _read(root, "proc/cpuinfo", limit=1 << 14).partition("\n\n")[0]  # the kernel asks each CPU that is read about
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in first.splitlines())}


@functools.cache
def is_amd():
    """Is the processor of AMD's making? Kernels' limits were measured for theirs and for Intel's."""
    return processor()[0] == "AuthenticAMD"


def _read(*path, limit=-1):
    try:
        with open(os.path.join(*path), encoding="utf-8", errors="replace") as file:
            return file.read(limit)
    except OSError:
        return ""


def _groups(root):
    """{controller: path of this process's group}; the unified (v2) hierarchy has the empty name."""
    groups = {}
    for line in _read(root, "proc/self/cgroup").splitlines():
        fields = line.split(":", 2)
        if len(fields) == 3:
            for controller in fields[1].split(","):
                groups[controller] = fields[2]
    return groups


def _mounts(root):
    """(mount point, subtree that it shows, True for a v1 hierarchy with the cpu controller) of each cgroup mount."""
    for line in _read(root, "proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        left, right = left.split(), right.split()
        if len(left) < 5 or len(right) < 3:
            continue
        if right[0] == "cgroup2":
            yield left[4], left[3], False
        elif right[0] == "cgroup" and "cpu" in right[2].split(","):
            yield left[4], left[3], True


def _upwards(root, mount, relative):
    """The folder of the group and its parents, up to the mount point."""
    base = os.path.join(root, mount.lstrip("/"))
    parts = [part for part in relative.split("/") if part not in ("", ".")]
    for depth in range(len(parts), -1, -1):
        yield os.path.join(base, *parts[:depth])


def _limit_v2(folder):
    quota, _, period = _read(folder, "cpu.max").strip().partition(" ")
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() and int(period) else None


def _limit_v1(folder):
    quota, period = (_read(folder, f"cpu.cfs_{name}_us").strip() for name in ("quota", "period"))
    return int(quota) / int(period) if quota.isdecimal() and period.isdecimal() and int(period) else None
