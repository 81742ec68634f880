"""`python -m benchmarks NAME [OPTIONS]` runs one measurement; without a name it lists them."""

import runpy
import sys
from pathlib import Path

names = sorted(path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_"))
if len(sys.argv) < 2 or sys.argv[1] not in names:
    sys.exit(f"usage: python -m benchmarks NAME, one of: {', '.join(names)}")
name = sys.argv.pop(1)
sys.argv[0] = f"python -m benchmarks {name}"
runpy.run_module(f"benchmarks.{name}", run_name="__main__")
