"""The command line of the benchmarks."""

import argparse
import os
from pathlib import Path


def main():
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Compare the speed of lucidlite with torch's."
    )
    parser.add_argument("names", nargs="*", help="only the rows whose name contains one of these")
    parser.add_argument("--quick", action="store_true", help="a fifth of the time, and more noise")
    parser.add_argument("--gpu", action="store_true", help="the rows for an NVIDIA GPU in place of those for the CPU")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="threads of numpy and torch (1)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the numbers to this file too")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(options.threads)  # read when numpy and torch are imported, which happens below
    from . import table

    table.compare(options.names, options.threads, 0.2 if options.quick else 1.0, options.json, options.gpu)


if __name__ == "__main__":
    main()
