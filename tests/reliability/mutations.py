#!/usr/bin/env python3
"""Breaks the program on purpose, once for each row of the table in README.md beside this file, and sees its test fail.

    tests/reliability/mutations.py [--list] [--keep FOLDER] [NAME or ROW ...]

`mutations.toml` says what is broken and how, and which test has to notice. All of it is built at once, in a copy of what git
knows of this tree, each place as `if mutant(7) { broken } else { sound }`; the environment variable STRIATE_MUTANT says which
one is on. Every test is run sound first, where it has to pass, then broken, where it has to fail. Exit code 1 if one does not.
Needs Python 3.11 or newer, and Cargo.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A broken program may wait for ever: that fails the test too.
LIMIT = 300

SWITCH = """
/// Which deliberate fault is on.
#[doc(hidden)]
pub fn mutant(number: usize) -> bool {
    static ON: std::sync::OnceLock<Option<usize>> = std::sync::OnceLock::new();
    *ON.get_or_init(|| std::env::var("STRIATE_MUTANT").ok()?.parse().ok()) == Some(number)
}
"""


def switched(number, mutation):
    """The code that is one or the other."""
    condition = f"crate::mutant({number})"
    if "both" in mutation:
        return mutation["both"].replace("MUTANT", condition)
    old, new = mutation["old"], mutation["new"]
    if old.rstrip().endswith(";"):
        return f"if {condition} {{ {new} }} else {{ {old} }}"
    return f"(if {condition} {{ {new} }} else {{ {old} }})"


def broken_copy(mutations, tree):
    """What git knows of this tree, as it lies on the disk, with every mutation in it."""
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, check=True, capture_output=True)
    for name in names.stdout.decode().splitlines():
        source, target = ROOT / name, tree / name
        if not source.is_file():
            continue
        # Files that have not changed keep their time, so that little is built again.
        if target.is_file() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    texts = {}
    for number, mutation in enumerate(mutations, 1):
        if mutation.get("at_run_time"):
            continue
        path = mutation["file"]
        text = texts.setdefault(path, (ROOT / path).read_text())
        count = text.count(mutation["old"])
        if count != 1:
            sys.exit(f"mutations.toml: {mutation['name']}: expected its text once in {path}, found {count} times")
        texts[path] = text.replace(mutation["old"], switched(number, mutation))
    texts["src/lib.rs"] = texts.get("src/lib.rs", (ROOT / "src/lib.rs").read_text()) + SWITCH
    for path, text in texts.items():
        if (tree / path).read_text() != text:
            (tree / path).write_text(text)


def run(tree, command, mutant=None, limit=None):
    """Runs `command` in the broken copy; its exit code, and what it said."""
    environment = {**os.environ, "CARGO_TARGET_DIR": str(tree / "target"), "CARGO_INCREMENTAL": "1", "STRIATE_CACHE": "",
                   "STRIATE": str(tree / "target/release/striate"), "STRIATE_REQUIRE_GPU": "1", "STRIATE_REQUIRE_STRACE": "1"}
    environment.pop("STRIATE_MUTANT", None)
    if mutant is not None:
        environment["STRIATE_MUTANT"] = str(mutant)
    # Its own process group, so that no part of it continues after the time limit.
    running = subprocess.Popen(
        command, cwd=tree, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace", start_new_session=True)
    try:
        said, _ = running.communicate(timeout=limit)
        return running.returncode, said
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        said, _ = running.communicate()
        return 124, f"{said}\nstopped after {limit} s"


def flag(program):
    """What cargo calls a test program."""
    return "--lib" if program == "lib" else f"--test={program}"


@contextlib.contextmanager
def broken_file(tree, mutation):
    """For as long as it lasts, the file that a mutation changes when the test runs, not when it is built."""
    if not mutation.get("at_run_time"):
        yield
        return
    path = tree / mutation["file"]
    sound = path.read_text() if path.exists() else None
    if (sound or "").count(mutation["old"]) < 1:
        sys.exit(f"mutations.toml: {mutation['name']}: its text is not in {mutation['file']}")
    path.write_text((sound or "").replace(mutation["old"], mutation["new"]) if sound else mutation["new"])
    try:
        yield
    finally:
        if sound is None:
            path.unlink()
        else:
            path.write_text(sound)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--list", action="store_true", help="print the table and run nothing")
    parser.add_argument("--keep", type=pathlib.Path, default=ROOT / "target/mutants", metavar="FOLDER",
                        help="where the broken copy and its build lie [default: target/mutants]")
    chosen = parser.parse_args()
    mutations = tomllib.loads((pathlib.Path(__file__).parent / "mutations.toml").read_text())["mutation"]
    if chosen.list:
        for mutation in mutations:
            print(f"{mutation['row']:4} {mutation['name']:40} {mutation['file']}: {mutation['test'][-1]}")
        return 0
    tree = chosen.keep / "tree"
    tree.mkdir(parents=True, exist_ok=True)
    broken_copy(mutations, tree)
    tested = [mutation["test"] for mutation in mutations]
    programs = sorted({test[0] for test in tested if len(test) > 1})
    code, said = run(tree, ["cargo", "test", "--release", "--locked", "--no-run", *map(flag, programs)])
    if code == 0:
        code, said = run(tree, ["cargo", "build", "--release", "--locked"])
    if code != 0:
        sys.exit(said[-4000:])
    sound, failures = {}, 0
    for number, mutation in enumerate(mutations, 1):
        if chosen.names and not {mutation["name"], mutation["row"]} & set(chosen.names):
            continue
        test = mutation["test"]
        if len(test) > 1:
            command = ["cargo", "test", "--release", "--locked", flag(test[0]), "--", "--exact", *test[1:]]
        else:
            command = test[0].split()
        key = tuple(test)
        if key not in sound:
            code, said = run(tree, command, limit=LIMIT)
            sound[key] = code == 0 and (len(test) == 1 or f" {len(test) - 1} passed" in said)
            (tree.parent / f"{mutation['name']}-sound.txt").write_text(said)
        began = time.monotonic()
        with broken_file(tree, mutation):
            code, said = run(tree, command, number, LIMIT)
        (tree.parent / f"{mutation['name']}-broken.txt").write_text(said)
        is_red = code != 0
        verdict = "caught" if sound[key] and is_red else "NOT CAUGHT" if sound[key] else "the sound program FAILS"
        failures += verdict != "caught"
        seconds = time.monotonic() - began
        print(f"{mutation['row']:4} {mutation['name']:40} {test[-1]:70} {verdict} ({seconds:.0f} s)", flush=True)
    print(f"{failures} of the broken programs passed their tests" if failures else "every broken program was caught")
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
