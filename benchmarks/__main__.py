"""All benchmarks one after the other: reads and creates side by side with the peers, then what
processes and permissions cost, then growth with entities.

    python -m benchmarks [options of benchmarks.run]
"""

from __future__ import annotations

import sys

from benchmarks import access, growth, process, run

if __name__ == "__main__":
    run.main()
    sys.argv = [sys.argv[0]]
    process.main()
    access.main()
    growth.main()
