# SPDX-License-Identifier: Apache-2.0
"""What `make install` lays down can be built against and run, alone."""
import os
import shutil
import subprocess

import pytest
from conftest import STORY, folder_of, pkg_config

PROGRAM_TEXT = r"""
#include <baton/engine.h>
#include <stdio.h>

int main(void)
{
    bt_engine *engine;
    bt_request *request;
    bt_request_params params;
    bt_event event;
    bt_engine_config config = {.model = "synth:tiny-llama:q8_0", .n_thread = 1, .n_seq_max = 1};
    const int32_t ids[] = {1, 2, 3};
    if (bt_engine_open(&config, &engine)) return fprintf(stderr, "%s\n", bt_error_message()), 1;
    bt_request_defaults(&params);
    params.ids = ids;
    params.n_id = 3;
    params.max_tokens = 5;
    params.ignore_eos = true;
    if (bt_engine_submit(engine, &params, &request)) return fprintf(stderr, "%s\n", bt_error_message()), 1;
    do {
        while (bt_request_next(request, &event) == BT_BUSY)
            if (bt_engine_step(engine, NULL)) return 1;
        if (event.id >= 0) printf("%d ", event.id);
    } while (event.finish == BT_FINISH_NONE);
    printf("%s %s\n", bt_finish_name(event.finish), bt_version());
    bt_request_free(request);
    bt_engine_close(engine);
    return 0;
}
"""


@pytest.mark.parametrize("static", [False, True])
def test_a_program_builds_against_the_installed_library(prefix, static, tmp_path):
    source = tmp_path / "user.c"
    source.write_text(PROGRAM_TEXT)
    flags = pkg_config(prefix, "--cflags", "--libs", *(["--static"] if static else []))
    if static:
        flags = [f if f != "-lbaton" else "-l:libbaton.a" for f in flags]
    subprocess.run(["gcc", "-std=c99", "-Wall", "-Werror", str(source), "-o", str(tmp_path / "user")] + flags, check=True)
    done = subprocess.run([str(tmp_path / "user")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=dict(os.environ, LD_LIBRARY_PATH=folder_of(prefix, "libbaton.so")), check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 7 and "length" in done.stdout


def test_the_installed_program_runs_and_brings_its_model(prefix, tmp_path):
    program = str(prefix / "bin" / "baton")
    assert subprocess.run([program, "version"], stdout=subprocess.DEVNULL, cwd=tmp_path, check=False).returncode == 0
    if os.path.exists(STORY):
        assert (prefix / "share" / "baton" / "story.gguf").stat().st_size == os.path.getsize(STORY)


def test_the_shared_library_exports_only_its_own_names(prefix):
    if not shutil.which("nm"):
        pytest.skip("nm is absent")
    library = os.path.join(folder_of(prefix, "libbaton.so"), "libbaton.so")
    listed = subprocess.run(["nm", "-D", "--defined-only", library], stdout=subprocess.PIPE, text=True, check=True)
    names = [line.split()[-1] for line in listed.stdout.splitlines()]
    assert names and all(n.startswith("bt_") for n in names), [n for n in names if not n.startswith("bt_")]
