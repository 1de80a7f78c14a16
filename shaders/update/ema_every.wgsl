// A moving average of every update.

// Bindings between w and a.
const FACTORS = 0u;

fn is_skipped() -> bool {
    return false;
}
