"""All benchmarks one after the other: reads and creates side by side with the peers, then what
permissions cost, then growth with entities.

    python -m benchmarks [options of benchmarks.run]
"""

from __future__ import annotations

import sys

from benchmarks import access, growth, run

if __name__ == "__main__":
    run.main()
    sys.argv = [sys.argv[0]]
    access.main()
    growth.main()
