// An update that looks for non-finite values, by their bits: a compiler may assume that there are none. The largest finding
// is written to the last word of the step's record: `NonFinite::word` of src/ops/update.rs. The bits of non-negative
// numbers have the order of the numbers, so an integer maximum finds it.

@group(0) @binding(RECORD) var<storage, read_write> record: array<atomic<u32>>;

const WEIGHT = 1u;
const STATE = 2u;
const BEFORE = 0x800000u;

var<private> found_before: u32;
var<private> found_after: u32;

fn mark(value: f32, what: u32) -> u32 {
    return select(0u, what, (bitcast<u32>(value) & 0x7f800000u) == 0x7f800000u);
}

fn look_before(value: f32, what: u32) {
    found_before |= mark(value, what);
}

fn look_after(value: f32, what: u32) {
    found_after |= mark(value, what);
}

// Reports the findings of an element.
fn tell() {
    if (found_before | found_after) != 0u {
        let marks = select(found_after, BEFORE + found_before, found_before != 0u);
        let at = hyper.slot * 5u + 4u;
        if at < arrayLength(&record) {
            atomicMax(&record[at], bitcast<u32>(f32(marks + 4u * min(number, 0x1fffffu))));
        }
        found_before = 0u;
        found_after = 0u;
    }
}
