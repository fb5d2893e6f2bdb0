"""How much memory there is, and how much of it an Envoy may take."""

from pathlib import Path
from typing import Final

from ostiary.errors import Invalid

MIB: Final = 1024 * 1024
LEAST_MIB: Final = 128  # an Envoy at rest takes some 15, and 0.3 more for each listener
OPTION: Final = "--gateway-memory-mib"
# The rest is for whoever else is there: the control plane and the keeper (0.2 GiB), a database, the kernel's own buffers for
# connections, and what Envoy may take beyond the bound before it has let go of something.
_SHARE: Final = 0.5

_PROC: Final = Path("/proc")
_CGROUPS: Final = Path("/sys/fs/cgroup")


def for_envoy(wanted_mib: int, *, proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int:
    """Octets. `wanted_mib` is what the operator said; 0: half of what there is."""
    return wanted_mib * MIB or max(int(there_is(proc, cgroups) * _SHARE), LEAST_MIB * MIB)


def check(wanted_mib: int, *, proc: Path = _PROC, cgroups: Path = _CGROUPS) -> None:
    """Raises `Invalid` for a bound that would bound nothing."""
    if wanted_mib and not LEAST_MIB <= wanted_mib <= there_is(proc, cgroups) // MIB:
        most = there_is(proc, cgroups) // MIB
        raise Invalid(OPTION, f"{wanted_mib} is not from {LEAST_MIB} to {most}, the MiB that there are; 0 is half of them")


def there_is(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int:
    """Octets that the machine has, or the control group that we are in, if that is less."""
    return min([_of_the_machine(proc), *_limits(proc, cgroups)])


def _of_the_machine(proc: Path) -> int:
    for line in (proc / "meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) * 1024
    raise Invalid("memory", f"{proc / 'meminfo'} does not tell how much there is")


def _limits(proc: Path, cgroups: Path) -> list[int]:
    """Those of the groups that we are in, of both versions; none where that cannot be read, as where /sys is hidden."""
    found: list[int] = []
    roots: tuple[Path, ...]
    for line in _text(proc / "self" / "cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            # Within a container, /sys/fs/cgroup is often the group itself, whatever it is called outside.
            roots, name = (cgroups, cgroups / "unified"), "memory.max"
        elif "memory" in controllers.split(","):
            roots, name = (cgroups / "memory",), "memory.limit_in_bytes"
        else:
            continue
        for root in roots:
            group = root / path.lstrip("/")
            for folder in (group, *group.parents):
                if (limit := _text(folder / name).strip()).isdecimal():
                    found.append(int(limit))
                if folder == root:
                    break
    return found


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError:
        return ""
