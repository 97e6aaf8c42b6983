"""How long `spec` takes, from starting the process to its end; 20 ms are the limit.

    spec-time.py BIN_DIR

The quickest of several runs counts, since the machine may have other things to do.
"""

import subprocess
import sys
import time
from pathlib import Path

RUNS = 30
LIMIT_S = 0.020


def main() -> int:
    connectors = [Path(sys.argv[1]) / folder.name for folder in sorted(Path(__file__).parent.parent.glob("connectors/*"))]
    times = {connector.name: min(seconds(connector) for _ in range(RUNS)) for connector in connectors}
    for name, taken in times.items():
        print(f"{name} spec: {taken * 1000:.1f} ms, the quickest of {RUNS} runs")
    return 1 if not times or max(times.values()) > LIMIT_S else 0


def seconds(connector: Path) -> float:
    start = time.perf_counter()
    subprocess.run([connector, "spec"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
