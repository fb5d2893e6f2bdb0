"""`python -m ostiary.gateway --data-dir DIR`: be a gateway's keeper, in the foreground. `ostiary up` starts one of these."""

import argparse
import asyncio
import sys
from pathlib import Path

from ostiary import hardening, loading

with loading.many_modules():
    from ostiary import logs
    from ostiary.errors import Refusal
    from ostiary.gateway import keeper, lock
    from ostiary.paths import Paths


def main() -> int:
    """0 after a stop that was asked for, 1 with one clear line for a refusal."""
    parser = argparse.ArgumentParser(prog="python -m ostiary.gateway", description="Run an Envoy and keep it configured.")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--drain-seconds", type=int, default=10, help="how long to wait for clients to finish before stopping")
    parser.add_argument("--workers", type=int, default=0, help="Envoy's worker threads; 0 is one for each processor")
    parser.add_argument("--memory-mib", type=int, default=0, help="what Envoy may take; 0 is half of what there is")
    parser.add_argument("--log-level", choices=sorted(logs.LEVELS), default="info")
    given = parser.parse_args()
    hardening.keep_memory_off_disk()
    logs.configure(given.log_level)
    paths = Paths(given.data_dir)
    try:
        paths.prepare()
        with lock.held(paths):
            asyncio.run(keeper.run(paths, given.drain_seconds, given.workers, given.memory_mib))
    except Refusal as refusal:
        sys.stderr.write(f"ostiary gateway: {refusal}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
