// Philox 4x32-10, counter-based random numbers: the same function as `philox` of src/random.rs.

const MULTIPLIER = vec2<u32>(0xD2511F53u, 0xCD9E8D57u);
const WEYL = vec2<u32>(0x9E3779B9u, 0xBB67AE85u);

// Low and high word of the 64-bit product, by the schoolbook method with 16-bit digits.
fn multiply_wide(a: u32, b: u32) -> vec2<u32> {
    let a_low = a & 0xffffu;
    let a_high = a >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let low = a_low * b_low;
    // At most (2^16 - 1)^2 + 2^16 - 1: neither sum overflows.
    let middle = a_high * b_low + (low >> 16u);
    let other = a_low * b_high + (middle & 0xffffu);
    return vec2(a * b, a_high * b_high + (middle >> 16u) + (other >> 16u));
}

fn philox(first_counter: vec4<u32>, first_key: vec2<u32>) -> vec4<u32> {
    var counter = first_counter;
    var key = first_key;
    for (var round = 0u; round < 10u; round++) {
        if round > 0u {
            key += WEYL;
        }
        let p0 = multiply_wide(MULTIPLIER.x, counter.x);
        let p1 = multiply_wide(MULTIPLIER.y, counter.z);
        counter = vec4(p1.y ^ counter.y ^ key.x, p1.x, p0.y ^ counter.w ^ key.y, p0.x);
    }
    return counter;
}
