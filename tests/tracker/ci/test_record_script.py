"""`.ci/record` and `.ci/alone`."""

import subprocess


def ranges(checkout):
    return [call for call in checkout.calls() if call.startswith("run")]


def test_what_was_pushed_is_measured_then_looked_at(checkout):
    before = checkout.git("rev-parse", "HEAD")
    checkout.commit("second")
    assert checkout.run("record", before).returncode == 0
    assert checkout.calls() == [f"run {before}..HEAD", "changepoints --alert"]


def test_the_head_alone_where_there_is_no_before(checkout):
    head = checkout.git("rev-parse", "HEAD")
    for before in ([], [""], ["0" * 40], [head], ["f" * 40]):
        checkout.run("record", *before)
    assert ranges(checkout) == ["run HEAD"] * 5


def test_a_forced_push_measures_the_head(checkout):
    gone = checkout.commit("gone")
    checkout.git("reset", "-q", "--hard", "HEAD~1")
    checkout.commit("instead")
    checkout.run("record", gone)
    assert ranges(checkout) == ["run HEAD"]


def test_a_failed_measurement_fails_with_its_code_and_looks_at_nothing(checkout):
    assert checkout.run("record", FAKE_CODE="4").returncode == 4
    assert checkout.calls() == ["run HEAD"]


def test_one_command_at_a_time_on_a_machine(checkout):
    alone = f"{checkout.root}/.ci/alone"
    log = checkout.root.parent / "log"
    step = f"echo begin >> {log}; sleep 0.4; echo end >> {log}"
    processes = [
        subprocess.Popen([alone, "bash", "-c", step], env=checkout.environment) for _ in range(3)
    ]
    assert [process.wait(30) for process in processes] == [0, 0, 0]
    assert log.read_text().split() == ["begin", "end"] * 3


def test_alone_passes_arguments_and_the_exit_code(checkout):
    done = checkout.run("alone", "bash", "-c", 'printf "%s|" "$@"; exit 7', "_", "a b", "$c")
    assert (done.returncode, done.stdout) == (7, "a b|$c|")
