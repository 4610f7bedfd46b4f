/** Weights of operations, in units of one scalar addition. They are rough: a node's own measurement scales them. */

/** Access to one element of storage or workgroup memory. */
export const ACCESS_WEIGHT = 16
/** The same for the compiler. */
export const ACCESS_COMPILE_WEIGHT = 4
/** One turn, with the test and decrement of the budget. */
export const LOOP_WEIGHT = 16
/** Entering a branch, or testing one clause of a switch. */
export const TURNOFF_WEIGHT = 4
/** Entering a loop, and testing its budget after it. */
export const LOOP_ENTRY_WEIGHT = 24
const DIVISION_WEIGHT = 4

/**
 * The weight that only compilation has, beside the operations themselves. Measured on SwiftShader, the slowest compiler of all
 * nodes. 400 branches or 100 loops in a row took 2 to 4 s, one switch of 200 clauses 4 s. An array of 4,000 words
 * took 6 s, one of 1,000 half a second.
 */
export const BRANCH_WEIGHT = 25
/** For a branch in a loop, times the branches around it: 110 of them took 7 s. */
export const NESTED_BRANCH_WEIGHT = 5
/** For a loop, times the loops around it and four more. */
export const LOOP_COMPILE_WEIGHT = 30
/** For a switch, times the square of its clauses. */
export const CLAUSES_WEIGHT = 2
/** For each word of a value longer than this. */
export const LONG_VALUE_WEIGHT = 3
export const SHORT_WORDS = 32

const HEAVY = new Set(
  (
    'sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh exp exp2 log log2 pow sqrt ' +
    'inverseSqrt normalize length distance smoothstep refract determinant ldexp frexp modf'
  ).split(' '),
)
const HEAVY_WEIGHT = 12
const ATOMIC_WEIGHT = 16
const BARRIER_WEIGHT = 256
const TEXTURE_WEIGHT = 16

/** Functions that synchronise a workgroup: https://www.w3.org/TR/WGSL/#sync-builtin-functions */
export function isBarrier(name: string): boolean {
  return /^(?:workgroup|storage|texture)Barrier$|^workgroupUniformLoad$|^subgroup|^quad/.test(name)
}

/** @param words of the largest argument */
export function builtinWeight(name: string, words: number): number {
  if (isBarrier(name)) return BARRIER_WEIGHT
  if (name.startsWith('atomic')) return ATOMIC_WEIGHT
  if (name.startsWith('texture')) return TEXTURE_WEIGHT
  return (HEAVY.has(name) ? HEAVY_WEIGHT : 2) * words
}

/** @param words of the largest operand or result */
export function operatorWeight(operator: string, words: number): number {
  if (operator === '/' || operator === '%') return DIVISION_WEIGHT * words
  // A product of two 4 × 4 matrices is 64 products and 48 sums.
  return operator === '*' && words > 4 ? words * 8 : words
}
