"""`tinyctl run`: a project from training to flight, redoing only what changed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from tinyctl import api, closed_loop
from tinyctl.boards import FOLDER as BOARDS
from tinyctl.boards import load_board
from tinyctl.builder import Compiler
from tinyctl.cli import train as train_command
from tinyctl.cli.base import Json, as_json, load_graph, load_policy, people, progress, results, table, write_json
from tinyctl.errors import FileError, TinyctlError
from tinyctl.importers.base import read_bytes
from tinyctl.jsons import parse_json
from tinyctl.project import FILE, Project, load_project
from tinyctl.report import write_report
from tinyctl.sims.plants import plant_files
from tinyctl.stages import Stage, run_stages


def command(
    file: Annotated[Path, typer.Argument(help="The project.")] = Path(FILE),
    as_object: Json = False,
) -> None:
    """Train, prune, quantize, emit, build, check and fly a project; exit status 1 when the verdict is bad."""
    project = load_project(file)
    stages = Stages(project, as_object).all()

    def tell(stage: Stage, works: bool) -> None:
        if not as_object:
            people.print(f"{stage.name}: {'…' if works else 'up to date'}", style="bold" if works else "dim")

    done = run_stages(project.out, stages, tell)
    check, flight = (_read(project.out / name) for name in ("check.json", "fly.json"))
    rows, reasons = _judge(project, check, flight)
    verdict = "fail" if reasons else "pass"
    if as_object:
        print(
            as_json(
                {
                    "schema": 1,
                    "contract_hash": flight["contract_hash"],
                    "graph_hash": flight["graph_hash"],
                    "verdict": verdict,
                    "reasons": reasons,
                    "done": done,
                    "out": str(project.out),
                }
            )
        )
    else:
        results.print(table(f"{project.name}: {verdict}", [*rows, *(("because", why) for why in reasons)]))
    raise typer.Exit(1 if reasons else 0)


class Stages:
    """The stages of a project, each with what it depends on."""

    def __init__(self, project: Project, quiet: bool) -> None:
        self.project, self.quiet, self.out = project, quiet, project.out
        plant = None if project.plant.startswith("gym:") else api.plant(project.plant)
        self.plant = plant
        self.task = "" if plant is None else project.task or next(iter(plant.tasks))
        if plant is not None:
            plant.task(self.task)
        self.plant_files = () if plant is None else plant_files(project.plant)
        board = Path(project.board)
        self.board_file = board if board.suffix == ".toml" else BOARDS / f"{project.board}.toml"

    def all(self) -> list[Stage]:
        """In order; what there is not to be done is left out."""
        project, out = self.project, self.out
        where = {"plant": project.plant, "task": self.task}
        policy = out / ("policy.tctl" if project.prune is None else "pruned.tctl")
        graph, folder, image = out / "graph.tctl", out / "c", out / "image.elf"
        flown = {"graph": graph, "c": folder, "emulator": image}[project.fly.on]
        board, plant = self.board_file, self.plant_files
        compiler = Compiler.choose(load_board(project.board), project.toolchain).label
        built = {"board": project.board, "toolchain": project.toolchain, "compiler": compiler}
        flight = {key: value for key, value in asdict(project.fly).items() if key not in ("at_least", "satisfied")}
        flight["specifications"] = repr(project.specifications)  # of their trees: a text may stand on signals
        stages = [
            Stage("train", {**where, **asdict(project.train)}, plant, self._made("policy.tctl", "train"), self._train),
            Stage("quantize", {**where, **built, **asdict(project.quantize)}, (policy, board, *plant),
                  self._made("graph.tctl", "quantize"), lambda: self._quantize(policy)),
            Stage("emit", project.name, (graph,), (folder,), lambda: self._emit(graph, folder)),
            Stage("build", built, (folder, board), (image,), lambda: self._build(folder, image)),
            Stage("check", [built, asdict(project.check)], (image, board), (out / "check.json",), self._check),
            Stage("fly", [where, flight], (flown, out / "check.json", *plant), (out / "fly.json",),
                  lambda: self._fly(flown)),
        ]  # fmt: skip
        if project.prune is not None:
            stages.insert(1, Stage("prune", {**where, **asdict(project.prune)}, (out / "policy.tctl", *plant),
                                   self._made("pruned.tctl", "prune"), self._prune))  # fmt: skip
        records = tuple(out / f"{name}.json" for name in ("train", "quantize", "check", "fly"))
        stages.append(Stage("report", None, records, (out / "report.html",), self._report))
        return stages

    def _made(self, network: str, record: str) -> tuple[Path, ...]:
        return self.out / network, self.out / f"{record}.json"

    def _train(self) -> None:
        train, name = self.project.train, self.project.plant
        if self.plant is None:
            solved = train_command.run_environment(name, train.seed, self.quiet, settings=train.settings)
            policy, record = solved.learned.policy, train_command.environment_record(solved, name, train.seed)
        else:
            result = train_command.run(
                self.plant, self.task, train.seed, self.quiet, algo=train.algo, settings=train.settings
            )
            policy = result.policy
            record = train_command.train_record(result, self.plant, self.task, train.seed)
        api.save(policy, self.out / "policy.tctl")
        write_json(self.out / "train.json", record)

    def _prune(self) -> None:
        prune = self.project.prune
        assert prune is not None
        policy = load_policy(self.out / "policy.tctl")
        with progress("Fine-tuning", self.quiet) as update:
            pruned, report = api.prune(
                policy,
                **asdict(prune),
                calibration=self._calibration(policy),
                plant_name=self.plant,
                task=self.task or None,
                seed=self.project.train.seed,
                progress=update,
            )
        api.save(pruned, self.out / "pruned.tctl")
        write_json(self.out / "prune.json", report.to_json())

    def _quantize(self, source: Path) -> None:
        policy = load_policy(source)
        with progress("Quantizing", self.quiet) as update:
            graph, report = api.quantize(
                policy,
                self.project.quantize.format,
                calibration=self._calibration(policy),
                plant_name=self.plant,
                task=self.task or None,
                board=self.project.board,
                toolchain=self.project.toolchain,
                progress=update,
            )
        api.save(graph, self.out / "graph.tctl")
        write_json(self.out / "quantize.json", report.to_json())

    def _calibration(self, policy: Any) -> Any:
        """Observations of the environment; a plant's are taken by `api` itself."""
        if self.plant is not None:
            return None
        return closed_loop.environment_observations(policy, api.environment(self.project.plant))

    def _emit(self, graph: Path, folder: Path) -> None:
        for old in folder.glob("*"):  # of another name
            if old.is_file():
                old.unlink()
        api.emit(load_graph(graph), folder, self.project.name)

    def _build(self, folder: Path, image: Path) -> None:
        api.build(folder, self.project.board, toolchain=self.project.toolchain, out=image)

    def _check(self) -> None:
        deadline_us = self.project.check.deadline_us
        report = api.check(self.out / "image.elf", self.project.board, deadline_us=deadline_us)
        write_json(self.out / "check.json", report.to_json())

    def _fly(self, source: Path) -> None:
        fly, record = self.project.fly, None
        with progress(f"Flying {fly.episodes} episodes on {fly.on}", self.quiet) as update:
            how: dict[str, Any] = {
                "on": fly.on, "board": self.project.board, "toolchain": self.project.toolchain,
                "episodes": fly.episodes, "seed": fly.seed, "progress": update,
            }  # fmt: skip
            if self.plant is None:
                record = api.fly_environment(source, self.project.plant, **how).to_json()
            else:
                time_us = _read(self.out / "check.json")["time_us_worst"] or 0.0
                how |= {"specifications": self.project.specifications, "delay_s": time_us * 1e-6}
                record = api.fly(source, self.plant, self.task, **how).to_json()
        write_json(self.out / "fly.json", record)

    def _report(self) -> None:
        policy = self.out / ("policy.tctl" if self.project.prune is None else "pruned.tctl")
        certificate = self.out / "certify.json"
        try:
            record = api.certify(load_graph(self.out / "graph.tctl"), load_policy(policy)).to_json()
            write_json(certificate, record)
        except TinyctlError:  # a layer without bounds; the report says that nothing is certified
            certificate.unlink(missing_ok=True)
        write_report(self.out)


def _judge(project: Project, check: dict[str, Any], flight: dict[str, Any]) -> tuple[list[tuple[str, str]], list[str]]:
    """Rows for a person, and what speaks against it."""
    rows = [("check", f"{check['verdict']} on {check['board']}")]
    if check["time_us_worst"] is not None:
        rows.append(("time", f"{check['time_us_worst']:.1f} us worst of {check['deadline_us']:g} us"))
    survived = flight.get("survived")
    name, value = ("survived", survived) if survived is not None else ("return", flight["scores"]["return"]["value"])
    rows += [(name, f"{value:.4g} over {flight['episodes']} episodes"), ("folder", str(project.out))]
    reasons = list(check["reasons"])
    if project.fly.at_least is not None and not value >= project.fly.at_least:
        reasons.append(f"{name} {value:.4g} is below {project.fly.at_least:g}")
    for kept in flight.get("specifications", []):
        rows.insert(-1, (kept["name"], f"satisfied by {kept['satisfied']:.1%} of the flights"))
        if project.fly.satisfied is not None and kept["satisfied"] < project.fly.satisfied:
            reasons.append(f"{kept['name']} is satisfied by {kept['satisfied']:.4g}, below {project.fly.satisfied:g}")
    return rows, reasons


def _read(path: Path) -> dict[str, Any]:
    record = parse_json(read_bytes(path), where=path)
    if not isinstance(record, dict):
        raise FileError("not a JSON object", where=path)
    return record
