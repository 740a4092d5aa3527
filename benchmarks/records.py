"""How a results folder of many records is read: `python benchmarks/records.py [COUNT]`.

Prints how much longer the whole folder takes than one record, and a lookup by key than reading one file. Times are
noise on a busy machine; the ratios are what to look at.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ispbench.results import store
from ispbench.results.keys import key_of
from ispbench.results.reading import read
from ispbench.results.records import EvaluationRecord, TrainingRecord

CONFIG = {group: {f"setting{i}": i for i in range(20)} for group in ("model", "data", "loss", "optimizer", "trainer")}


def fill(results: Path, count: int) -> list[str]:
    keys = []
    for seed in range(count):
        key = key_of({"seed": seed})
        training = {"steps": 1000, "wall_time_s": 60.0, "val_psnr": 20 + seed % 7}
        trained = TrainingRecord(
            key=key, model="metaisp", dataset="mini", seed=seed, status="finished", config=CONFIG, training=training
        )
        metrics = {"psnr": 20 + (seed % 97) / 10, "ssim": 0.7, "lpips": 0.2}
        evaluated = EvaluationRecord(
            key=key_of({"evaluation": seed}),
            model="metaisp",
            dataset="mini",
            seed=seed,
            protocol="mini-v2/original-gt",
            training_key=key,
            status="finished",
            metrics=metrics,
        )
        for folder, record in (("trainings", trained), ("evaluations", evaluated)):
            path = results / folder / f"{record.id}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(record.content())
        keys.append(key)
    return keys


def seconds(action) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder)
        keys = fill(results, count)
        one = next((results / "trainings").glob("*.json"))
        single = min(seconds(lambda: read(one, "training")) for _ in range(20))
        lookup = min(seconds(lambda: store.find(results, "training", keys[-1])) for _ in range(5))
        whole = seconds(lambda: store.load(results))
        command = [sys.executable, "-m", "ispbench", "leaderboard", f"--results={results}"]
        table = seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
        print(f"{count:,} trainings with an evaluation each")
        print(f"find one by its key: {lookup / single:.0f} x reading one file ({lookup * 1e3:.1f} ms)")
        print(f"load all:            {whole / single / count:.1f} x reading one file, for each ({whole:.1f} s)")
        print(f"ispbench leaderboard: {table:.1f} s as a process")


if __name__ == "__main__":
    main()
