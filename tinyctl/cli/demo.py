"""`tinyctl demo`: the whole way for the Crazyflie's hover, from training to the flight of the emitted code."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from tinyctl import api, closed_loop
from tinyctl.cli import check as check_command
from tinyctl.cli import fly as fly_command
from tinyctl.cli import quantize as quantize_command
from tinyctl.cli import train as train_command
from tinyctl.cli.base import Json, Seed, as_json, people, progress, results, table, write_json
from tinyctl.report import write_report

PLANT, TASK, BOARD, NAME = "quadrotor", "hover", "crazyflie21", "hover"
DEPLOYED, REFERENCE = "w16a16", "f32"
EPISODES_C, EPISODES_EMULATOR = 1000, 20


def command(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo writes.")] = Path("build/demo"),
    seed: Seed = 0,
    as_object: Json = False,
) -> None:
    """Train, quantize, emit, build, check and fly the Crazyflie's hover; writes report.html."""
    started = time.perf_counter()
    plant = api.plant(PLANT)
    _say(f"1/6 train: {PLANT}, {TASK}", as_object)
    trained = train_command.run(plant, TASK, seed, quiet=as_object)
    train = train_command.train_record(trained, plant, TASK, seed)
    write_json(out / "train.json", train)
    api.save(trained.policy, out / "policy.tctl")

    _say("2/6 quantize", as_object)
    calibration = closed_loop.observations(trained.policy, plant, TASK)
    graphs = {}
    for name in (REFERENCE, DEPLOYED):
        graphs[name], quantized = api.quantize(
            trained.policy, name, calibration=calibration, plant_name=plant, task=TASK
        )
        api.save(graphs[name], out / f"graph-{name}.tctl")
    write_json(out / "quantize.json", quantized.to_json())

    _say(f"3/6 emit C and build for {BOARD}", as_object)
    api.emit(graphs[DEPLOYED], out / "c", NAME)
    image = api.build(out / "c", BOARD, out=out / "image.elf")
    reference_image = api.build(graphs[REFERENCE], BOARD, out=out / "image-f32.elf", name=NAME)

    _say("4/6 check: predict the time on the board", as_object)
    check = api.check(image.path, BOARD)
    write_json(out / "check.json", check.to_json())
    reference_check = api.check(reference_image.path, BOARD)
    write_json(out / "check-f32.json", reference_check.to_json())

    _say(f"5/6 fly: {EPISODES_C} episodes as C, {EPISODES_EMULATOR} on the emulated processor", as_object)
    flights = {}
    jobs: tuple[tuple[str, Path, str, int, Any], ...] = (
        ("fly", out / "c", "c", EPISODES_C, check),
        ("fly-f32", out / "graph-f32.tctl", "c", EPISODES_C, reference_check),
        ("fly-emulator", out / "image.elf", "emulator", EPISODES_EMULATOR, check),
    )
    for name, source, on, episodes, timing in jobs:
        delay_s = timing.time_us_worst * 1e-6
        with progress(f"Flying {episodes} episodes on {on}", as_object) as update:
            flights[name] = api.fly(
                source, plant, TASK, on=on, episodes=episodes, seed=seed, delay_s=delay_s, progress=update
            )
        write_json(out / f"{name}.json", flights[name].to_json())

    _say("6/6 certify, report", as_object)
    write_json(out / "certify.json", api.certify(graphs[DEPLOYED], trained.policy).to_json())
    report = write_report(out)
    good = check.verdict == "pass"
    if as_object:
        print(
            as_json(
                {
                    "schema": 1,
                    "contract_hash": check.contract_hash,
                    "graph_hash": check.graph_hash,
                    "verdict": check.verdict,
                    "seconds": time.perf_counter() - started,
                    "train_seconds": train["seconds"],
                    "survived": flights["fly"].survived,
                    "time_us_worst": check.time_us_worst,
                    "report": str(report),
                }
            )
        )
    else:
        results.print(check_command.layers(check))
        results.print(
            table(
                "Demo",
                [
                    *train_command.summary(train),
                    *quantize_command.summary(quantized),
                    *check_command.summary(check),
                    *(
                        (f"{name}, {key}", value)
                        for name, flight in flights.items()
                        for key, value in fly_command.summary(flight)
                    ),
                    ("verdict", check.verdict),
                    ("report", str(report)),
                    ("all in", f"{time.perf_counter() - started:.1f} s"),
                ],
            )
        )
    raise typer.Exit(0 if good else 1)


def _say(line: str, quiet: bool) -> None:
    if not quiet:
        people.print(line, style="bold")
