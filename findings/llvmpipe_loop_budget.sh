#!/usr/bin/env bash
# Mesa's llvmpipe: a shader's loops end after 65,535 rounds, all loops together, and nothing says so.
#
# One would guess: a loop in a compute shader runs until its condition is false.
# What happens (Mesa 22.3.6): an invocation has one budget of 65,535 rounds for all its loops, nested ones too
#   (`LP_MAX_TGSI_LOOP_ITERATIONS`, "Maximum iterations before loop termination. Shared between every loop", in
#   src/gallium/auxiliary/gallivm/lp_bld_limits.h). When it is spent, every loop is left and the shader goes on: no error, no lost device.
#   A loop of 70,000 rounds counts to 65,535; two loops of 40,000 one after the other to 40,000 and 25,534; 300 times
#   300 to 65,101: the outer rounds count as well, and so does the test that ends each inner loop.
# Who meets it: whoever runs long reductions on the software adapter of a CI machine, and takes it for a reference.
#
# usage: findings/llvmpipe_loop_budget.sh        (python3 with venv; network; Mesa's Vulkan drivers)
# Exit status: 0 as described, 1 otherwise.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python=$(command -v python3.11 || command -v python3)
"$python" -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check wgpu==0.32.0

cat >"$folder/count.py" <<'PYTHON'
import struct

import wgpu

SHADER = """
@group(0) @binding(0) var<storage, read> limits: array<u32>;
@group(0) @binding(1) var<storage, read_write> counts: array<u32>;

@compute @workgroup_size(1)
fn main() {
    var n = 0u;
    %s
}
"""
# What to run, with the lengths that come from a buffer, so that no compiler knows them; and what one would expect.
CASES = [
    ("one loop of 70000", "for (var i = 0u; i < limits[0]; i++) { n += limits[2]; } counts[0] = n;", (70000, 0, 1), 1),
    (
        "two loops of 40000",
        "for (var i = 0u; i < limits[0]; i++) { n += limits[2]; } counts[0] = n; n = 0u;"
        " for (var i = 0u; i < limits[1]; i++) { n += limits[2]; } counts[1] = n;",
        (40000, 40000, 1),
        2,
    ),
    (
        "300 loops of 300",
        "for (var i = 0u; i < limits[0]; i++) { for (var j = 0u; j < limits[1]; j++) { n += limits[2]; } } counts[0] = n;",
        (300, 300, 1),
        1,
    ),
]

adapter = next(a for a in wgpu.gpu.enumerate_adapters_sync() if "llvmpipe" in a.info["device"] and a.info["backend_type"] == "Vulkan")
device = adapter.request_device_sync()
print(adapter.info["device"], adapter.info["description"])
usage = wgpu.BufferUsage.STORAGE | wgpu.BufferUsage.COPY_SRC
for name, body, limits, count in CASES:
    source = device.create_buffer_with_data(data=struct.pack("3I", *limits), usage=usage)
    target = device.create_buffer(size=8, usage=usage)
    pipeline = device.create_compute_pipeline(
        layout="auto", compute={"module": device.create_shader_module(code=SHADER % body), "entry_point": "main"}
    )
    entries = [{"binding": i, "resource": {"buffer": b, "offset": 0, "size": b.size}} for i, b in enumerate((source, target))]
    group = device.create_bind_group(layout=pipeline.get_bind_group_layout(0), entries=entries)
    encoder = device.create_command_encoder()
    work = encoder.begin_compute_pass()
    work.set_pipeline(pipeline)
    work.set_bind_group(0, group)
    work.dispatch_workgroups(1)
    work.end()
    device.queue.submit([encoder.finish()])
    print(f"{name}:", *struct.unpack("2I", device.queue.read_buffer(target))[:count])
PYTHON
# Without a desktop the Wayland client complains; that is no matter here.
found=$("$folder/venv/bin/python" "$folder/count.py" 2>"$folder/errors") || { cat "$folder/errors" >&2; exit 1; }
echo "$found"
[[ ${found#*$'\n'} == "one loop of 70000: 65535
two loops of 40000: 40000 25534
300 loops of 300: 65101" ]] || { echo "not as described" >&2; exit 1; }
