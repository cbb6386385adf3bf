"""`make bench`: this service and its peers, end to end, in one table (bench/RESULTS.md).

Measures what is missing of the rows and sides that are asked for, in rounds, on a real Kafka of its own; keeps each
measurement (.build/bench/results.jsonl), so that a table may be measured in parts, and writes the table from all that is kept.
Nothing fails on a number: a machine that is busy with something else gives others, so a person reads them.
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import time
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Mapping

from bench import facts, plots, report
from bench.environments import FOLDER, UnavailableError
from bench.kept import Kept, Record
from bench.noise import gated
from bench.plan import Step, Wish
from bench.report import Results
from bench.rows.noop import BACKLOG
from bench.rows.table import ROWS
from bench.run import Place, warm
from bench.sides.table import SIDES
from tests.support.kafka import Cluster

HERE = Path(__file__).parent
QUICK_SIDES = ("raw", "bare", "ours", "ours-none")
TRIES = 3


def words() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=_listed(ROWS), default=list(ROWS), help=f"of {','.join(ROWS)}; default: all")
    parser.add_argument("--sides", type=_listed(SIDES), default=list(SIDES), help=f"of {','.join(SIDES)}; default: all")
    parser.add_argument("--cells", default="", metavar="TEXT", help="only cells that begin like this, those of --grid too")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured, what is kept included; default: 3")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin nothing that would end later than this")
    parser.add_argument("--grid", action="store_true", help="row b: all combinations of task, processes and threads")
    parser.add_argument("--again", action="store_true", help="forget what is kept of these rows, sides and cells first")
    parser.add_argument("--quick", action="store_true", help="under 3 minutes, no peers; prints, and writes no RESULTS.md")
    parser.add_argument("--noise", type=float, default=0.15, help="cores that others may use; more: it is measured again")
    parser.add_argument("--report", action="store_true", help="measure nothing: write the table of what is kept")
    parser.add_argument("--results", type=Path, default=None, help="where measurements are kept")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md")
    return parser.parse_args()


def _listed(table: Mapping[str, object]) -> Callable[[str], List[str]]:
    def names(text: str) -> List[str]:
        wanted = text.split(",")
        for name in wanted:
            if name not in table:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(table)}")
        return wanted

    return names


def unavailable(sides: Iterable[str]) -> Dict[str, str]:
    """Those that can't be had on this machine, and why. The others are there when this returns."""
    absent = {}
    for name in sides:
        try:
            SIDES[name].versions()
        except (UnavailableError, OSError) as problem:
            absent[name] = str(problem)
    return absent


def measure(step: Step, place: Place, noise: float, absent: str) -> Record:
    """One measurement, repeated while others use the machine. `absent`: why that is not possible."""
    at, commit = dt.datetime.now().astimezone().isoformat(" ", "seconds"), facts.commit()
    if absent:
        return Record(*step.key, {}, fault=absent, at=at, commit=commit)
    try:
        side = SIDES[step.side]
        best = gated(lambda: step.cell.measure(place, side), noise, TRIES)
    except Exception as problem:  # whatever it is: hours of others must not end with it
        return Record(*step.key, {}, fault=str(problem) or repr(problem), at=at, commit=commit)
    return Record(*step.key, best.measured.values, best.measured.others, best.tries, best.quiet, at=at, commit=commit)


def run(wish: Wish, kept: Kept, asked: argparse.Namespace) -> None:
    """Measure what is missing, as long as there is time."""
    limit = time.monotonic() + 60 * asked.minutes
    missing = list(wish.missing(1 if asked.quick else asked.rounds, kept.rounds))
    minutes = sum(step.cell.seconds for step in missing) / 60
    tell(f"{len(missing)} measurements, about {minutes:.0f} minutes on a quiet machine (a round: {wish.seconds() / 60:.0f})")
    if not missing:
        return
    absent = unavailable({step.side for step in missing})
    with Cluster() as cluster:
        place = Place(cluster)
        warm(place, SIDES["ours"], BACKLOG)
        for number, step in enumerate(missing, 1):
            if time.monotonic() + step.cell.seconds > limit:
                tell(f"{len(missing) - number + 1} are left for another time")
                return
            record = measure(step, place, asked.noise, absent.get(step.side, ""))
            kept.add(record)
            numbers = ", ".join(f"{name} {value:,.4g}" for name, value in record.values.items())
            loud = "" if record.quiet else " NOISY"
            noise = f"[others {record.others:.2f}, tries {record.tries}{loud}]"
            tell(f"{number}/{len(missing)} ({record.row}) {record.cell}, {record.side}: {numbers or record.fault} {noise}")


def tell(line: str) -> None:
    """Say how far it is; what is asked for goes to standard output."""
    print(line, file=sys.stderr, flush=True)


def write(kept: Kept, asked: argparse.Namespace) -> str:
    """The table of all that is kept."""
    results = Results(kept.records, SIDES)
    known = facts.facts()
    known.update(facts.versions_in_words(results.sides))
    folder = asked.output.parent / "plots"
    drawn = [] if asked.quick else plots.drawn(results, list(ROWS.values()), folder)
    return report.text(results, list(ROWS.values()), known, [f"plots/{name}" for name in drawn])


def main() -> None:
    """The command."""
    asked = words()
    sides = QUICK_SIDES if asked.quick else asked.sides
    kept = Kept(asked.results or FOLDER / ("quick.jsonl" if asked.quick else "results.jsonl"))
    wish = Wish([ROWS[letter] for letter in asked.rows], sides, asked.quick, asked.grid, asked.cells)
    if asked.again or asked.quick:
        keys = {step.key for step in wish.round(0)}
        kept.forget(lambda record: record.key in keys)
    if not asked.report:
        run(wish, kept, asked)
    if not kept.records:
        sys.exit("nothing was measured")
    text = write(kept, asked)
    if asked.quick:
        print(text)
    else:
        asked.output.write_text(text)
        tell(f"{asked.output} is written")


if __name__ == "__main__":
    main()
