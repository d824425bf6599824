"""A run's stage is swept where nobody makes it any more, and only there; progress without a terminal."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("hydra", reason='pip install -e ".[gate]"')
pytest.importorskip("fcntl", reason="stages are swept where folders can be locked")

from ablations.progress import Progress
from ablations.stages import stage

ROOT = Path(__file__).parent.parent
MAKER = """
import sys, time
from pathlib import Path
from ablations.stages import stage

place = Path(sys.argv[1])
with stage(place, checkpoint=place.with_name("checkpoint")) as made:
    (made / "half").write_text("a run")
    print(made, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def maker(tmp_path):
    """Starts processes that make the run 0, and never end by themselves."""
    started = []

    def start():
        process = subprocess.Popen(
            [sys.executable, "-c", MAKER, str(tmp_path / "0")], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        started.append(process)
        return process, Path(process.stdout.readline().strip())

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def stages(folder):
    return sorted(folder.glob(".*.part"))


def test_what_a_killed_process_leaves_is_swept_and_what_lives_is_not(maker, tmp_path):
    (killed, left), (living, held) = maker(), maker()
    checkpoint = tmp_path / "checkpoint"
    (checkpoint / ".x.part").mkdir(parents=True)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert stages(tmp_path) == sorted([left, held])
    with stage(tmp_path / "0", checkpoint=checkpoint) as mine:
        assert stages(tmp_path) == sorted([mine, held]) and (held / "half").exists()
        assert (checkpoint / ".x.part").exists()  # which may be the living one's
    living.send_signal(signal.SIGKILL)
    living.wait()
    with stage(tmp_path / "0", checkpoint=checkpoint) as mine:
        assert stages(tmp_path) == [mine] and not (checkpoint / ".x.part").exists()
    assert stages(tmp_path) == []


def test_a_stage_that_has_become_a_run_stays(tmp_path):
    with stage(tmp_path / "0", checkpoint=tmp_path / "checkpoint") as made:
        (made / "whole").write_text("a run")
        os.rename(made, tmp_path / "0")
    with stage(tmp_path / "1", checkpoint=tmp_path / "checkpoint"):
        assert (tmp_path / "0" / "whole").exists()


def test_a_log_has_a_line_at_once(capsys):
    with Progress(total=1000, what="runs/base/0", unit="step") as progress:
        assert "runs/base/0: 0 of 1000 steps, 00:00 gone, ? left\n" in capsys.readouterr().err
        for step in range(500, 1001):  # as a training that goes on
            progress.at(step)
    said = capsys.readouterr().err
    assert "1000 of 1000 steps" in said and said.count("left") == 1  # a minute has not passed
