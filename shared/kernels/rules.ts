/** Names of the rules about submitted kernels that errors carry, the same on node, hub and wire. */

/** A node says that the kernel hung its device. */
export const HANG_RULE = 'kernels.hang'
/** The text has hung devices. */
export const BANNED_RULE = 'kernels.banned'
/** A loop ran out of what this node gives one dispatch. */
export const BUDGET_RULE = 'kernels.budget'
