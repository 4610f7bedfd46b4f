/** Random numbers in WGSL, for the kernels of batches. */

/** Needs a seed in `state`; `mixBits` makes one. */
export const RANDOM_WGSL = `
var<private> state: u32;

fn mixBits(value: u32) -> u32 {
  var v = value;
  v = (v ^ (v >> 16u)) * 0x7feb352du;
  v = (v ^ (v >> 15u)) * 0x846ca68bu;
  return v ^ (v >> 16u);
}

// PCG by Melissa O'Neill; 24 bits, which f32 holds exactly.
fn randomBits() -> u32 {
  state = state * 747796405u + 2891336453u;
  let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
  return ((word >> 22u) ^ word) >> 8u;
}`
