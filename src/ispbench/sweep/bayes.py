"""The runs of a Bayesian search, which Optuna chooses by the scores."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ispbench.config import compose
from ispbench.errors import UserError
from ispbench.sweep.files import Sweep
from ispbench.sweep.parameters import Parameter
from ispbench.sweep.search import Outcome, Train, attempt


def search_bayes(sweep: Sweep, seed: int, count: int, train: Train) -> list[Outcome]:
    """Configurations that Optuna proposes from the scores so far; a stopped search goes on where it was."""
    from filelock import FileLock, Timeout

    search = Search(sweep, seed)
    path = Path(compose(sweep.run(search.ask()[1])).paths.outputs) / "sweeps" / f"{sweep.name}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        lock = FileLock(path.with_suffix(".lock")).acquire(timeout=0)
    except Timeout as error:
        raise UserError(f"The search {sweep.name} is running already; wait until it has ended.") from error
    with lock:
        search.open(path)
        for number, values in search.unfinished():
            search.tell(number, attempt(sweep, values, f"run {number + 1} of {count}, again", train))
        while len(search) < count:
            number, values = search.ask()
            search.tell(number, attempt(sweep, values, f"run {number + 1} of {count}", train))
        return search.outcomes()


class Search:
    """An Optuna study over the parameters of a sweep."""

    def __init__(self, sweep: Sweep, seed: int) -> None:
        try:
            import optuna
        except ImportError as error:
            raise UserError('A Bayesian search needs Optuna: pip install "ispbench[sweeps]".') from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna = optuna
        self._sweep = sweep
        self._seed = seed
        self._space: dict[str, Any] = {parameter.key: self._dimension(parameter) for parameter in sweep.parameters}
        self._study = optuna.create_study(direction="maximize")

    def open(self, path: Path) -> None:
        """Goes on with a study on disk, one for each space, fixed overrides and seed."""
        from optuna.storages import JournalStorage
        from optuna.storages.journal import JournalFileBackend

        from ispbench.results.keys import key_of

        sweep = self._sweep
        space = [[parameter.key, parameter.distribution, dict(parameter.options)] for parameter in sweep.parameters]
        identity = key_of({"space": space, "fixed": sorted(sweep.fixed), "seed": self._seed})
        self._study = self._optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(path))),
            study_name=f"{sweep.name}-{identity}",
            direction="maximize",
            load_if_exists=True,
        )

    def __len__(self) -> int:
        return len(self._study.trials)

    def ask(self) -> tuple[int, dict[str, Any]]:
        """The number and the values of the next run; the same ones after a stop as without."""
        seed = random.Random(f"{self._seed}-{len(self)}").getrandbits(32)
        self._study.sampler = self._optuna.samplers.TPESampler(seed=seed)
        trial = self._study.ask(self._space)
        values = self._values(trial.params)
        trial.set_user_attr("values", values)
        return trial.number, values

    def tell(self, number: int, outcome: Outcome) -> None:
        """Notes what became of a run."""
        state = None if outcome.error is None else self._optuna.trial.TrialState.FAIL
        self._study.tell(number, outcome.score, state=state)

    def unfinished(self) -> list[tuple[int, dict[str, Any]]]:
        """The runs that were stopped."""
        running = self._study.get_trials(states=(self._optuna.trial.TrialState.RUNNING,))
        return [(trial.number, trial.user_attrs["values"]) for trial in running if "values" in trial.user_attrs]

    def outcomes(self) -> list[Outcome]:
        """All runs of the study."""
        return [
            Outcome(trial.user_attrs["values"], trial.value, "failed" if trial.value is None else None)
            for trial in self._study.trials
            if "values" in trial.user_attrs
        ]

    def _values(self, found: Mapping[str, Any]) -> dict[str, Any]:
        values = {}
        for parameter in self._sweep.parameters:
            place = found[parameter.key]
            if parameter.distribution == "categorical":
                values[parameter.key] = parameter.options["values"][place]
            else:
                values[parameter.key] = parameter.at(place)
        return values

    def _dimension(self, parameter: Parameter) -> Any:
        """A quantile, or the index of a value where values have no order."""
        if parameter.distribution == "categorical":
            return self._optuna.distributions.CategoricalDistribution(range(len(parameter.options["values"])))
        return self._optuna.distributions.FloatDistribution(0, 1)
